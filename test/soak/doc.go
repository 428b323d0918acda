// Soak keeps paygates busy for a long time and then looks whether anything has grown, gone wrong or been lost:
// thousands of connections and payments, reloads and outages of the Lightning nodes, with a real seller's and real buyers'
// paygates, a simulated Lightning network, and light clients in this process. `make soak` runs it.
package main
