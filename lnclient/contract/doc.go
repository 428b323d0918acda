// Package contract is what lnclient expects of an lnd, as a table of scenarios that runs against any backend: the
// sandbox, and a real network of lnd nodes. It owns the clients that it opens and closes them; the nodes are the
// backend's. A scenario never relies on what another has left behind.
package contract
