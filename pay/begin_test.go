package pay

import "context"

// Run has a conversation that is connected to nothing live until ctx ends.
func (c *conversation) Run(ctx context.Context) {
	c.Begin()
	<-ctx.Done()
	c.End()
}

func (o *observer) Run(ctx context.Context) {
	o.Begin()
	<-ctx.Done()
	o.End()
}
