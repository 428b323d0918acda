package client

import "errors"

// Trouble is why a client cannot be asked.
type Trouble string

// What keeps a client from answering.
const (
	Away     Trouble = "away"           // nothing answers there
	Refused  Trouble = "wrong password" // user or password are wrong, or missing
	Banned   Trouble = "banned"         // it refuses this machine for a while, after wrong passwords
	Unlisted Trouble = "not allowed"    // it refuses this machine's address, or the name it is asked by
	Stranger Trouble = "not a client"   // what answers is no client that we know
	Broken   Trouble = "broken"         // it answers what cannot be understood
)

// Problem is the error of asking a client.
type Problem struct {
	Trouble Trouble
	Text    string // what happened, without passwords
	Remedy  string
	Err     error // may be nil
}

func (p *Problem) Error() string {
	if p.Err != nil {
		return p.Text + ": " + p.Err.Error()
	}
	return p.Text
}

func (p *Problem) Unwrap() error { return p.Err }

// problemOf makes a Problem of any error; one that is not classified means that the answer was of no use.
func problemOf(err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	return &Problem{Trouble: Broken, Text: "the client's answer makes no sense", Remedy: "see that client.api.url is the client's own web interface", Err: err}
}
