package doctor

import (
	"errors"
	"os"

	"paygate/config"
)

// Configuration judges what config.Load returned for a file. Its findings fail if there is no configuration to go on
// with.
func Configuration(path string, c *config.Config, err error) []Finding {
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		return problemFindings(problems)
	case errors.Is(err, os.ErrNotExist):
		return []Finding{fail(CheckConfiguration, "start from config.example.yaml, or name your file with -c", "%s does not exist", path)}
	case err != nil:
		return []Finding{fail(CheckConfiguration, "make it a readable file", "%v", err)}
	}
	return append([]Finding{pass(CheckConfiguration, "%s is valid", path)}, problemFindings(c.Notes)...)
}

func problemFindings(problems config.Problems) []Finding {
	var found []Finding
	for _, p := range problems {
		f := Finding{Check: CheckConfiguration, Verdict: Fail, Remedy: p.Remedy}
		if p.Note {
			f.Verdict = Warn
		}
		p.Remedy, p.Note = "", false
		f.Text = p.String()
		if f.Remedy == "" {
			f.Remedy = "correct the line"
		}
		found = append(found, f)
	}
	return found
}
