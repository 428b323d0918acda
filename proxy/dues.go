package proxy

// dues are what has to be given back when a connection has been served, last first. Whoever serves it pays them, unless a
// session takes them over, which lives on by itself and pays them at its end.
type dues struct{ of []func() }

func (d *dues) owe(give func()) { d.of = append(d.of, give) }

// take leaves d without dues and returns what pays them.
func (d *dues) take() func() {
	taken := &dues{d.of}
	d.of = nil
	return taken.pay
}

func (d *dues) pay() {
	for i := len(d.of) - 1; i >= 0; i-- {
		d.of[i]()
	}
	d.of = nil
}
