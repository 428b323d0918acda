package doctor

import (
	"context"
	"errors"

	"paygate/config"
)

// Ready returns nil if a running paygate can do all that its configuration asks for, else one line that names the
// first thing that fails and its remedy. What is only a warning does not matter here.
func Ready(ctx context.Context, c *config.Config, m Machine, node Node) error {
	free, err := m.Free(c.DataDir)
	found := append([]Finding{disk(c.DataDir, free, err)}, Lightning(ctx, c, node, m.Now())...)
	for _, f := range found {
		if f.Verdict == Fail {
			return errors.New(f.Line())
		}
	}
	return nil
}

// Line is the text and the remedy on one line.
func (f Finding) Line() string {
	if f.Remedy == "" {
		return f.Text
	}
	return f.Text + "; " + f.Remedy
}
