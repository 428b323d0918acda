// Package doctor tells an owner what keeps paygate from working, or soon will, and what to do about it: one finding a
// check, pass, warn, fail or skip, each with its remedy. The same judgement of the Lightning node serves the readiness
// of a running paygate.
//
// It looks at the machine, the client and the node, and changes nothing: the file and the listeners that it opens to
// see whether they can be had are gone when it returns. It never starts a payment or makes an invoice, never decides
// what paygate does, and owns none of what it is given.
package doctor
