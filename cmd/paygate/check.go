package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"paygate/config"
)

const checkHelp = `Reads a configuration as ` + "`paygate run`" + ` would and tells everything that is wrong with it at once, one problem
a line as file:line:column, with what to do about it. When nothing is wrong it says what will be sold and bought.

It connects to nothing and changes nothing. Exit status: 0 valid, 2 not valid. Notes do not make it invalid.`

func newCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "check", Short: "Check a configuration and say what it will sell and buy", Long: checkHelp,
		Example: "  paygate check -c paygate.yaml\n  paygate check -c paygate.yaml --json | jq .problems",
	}
	path := configFlag(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return check(cmd.OutOrStdout(), *path, *asJSON)
	}
	return cmd
}

func check(w io.Writer, path string, asJSON bool) error {
	c, err := config.Load(path)
	var problems config.Problems
	if err != nil && !errors.As(err, &problems) {
		return &exitError{exitConfiguration, missingHint(err)}
	}
	if c != nil {
		problems = c.Notes
	}
	if asJSON {
		if err := json.NewEncoder(w).Encode(checkReport(path, c, problems)); err != nil {
			return err
		}
	} else {
		printCheck(w, path, c, problems)
	}
	if c == nil {
		return &exitError{code: exitConfiguration}
	}
	return nil
}

func printCheck(w io.Writer, path string, c *config.Config, problems config.Problems) {
	if len(problems) > 0 {
		fmt.Fprintln(w, problems)
	}
	if c == nil {
		fmt.Fprintf(w, "\n%s is not valid: %s\n", path, count(fatal(problems), "problem"))
		return
	}
	if len(problems) > 0 {
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%s is valid\n\n", path)
	printSummary(w, c)
}

func fatal(ps config.Problems) (n int) {
	for _, p := range ps {
		if !p.Note {
			n++
		}
	}
	return n
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
