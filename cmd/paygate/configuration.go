package main

import (
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"paygate/config"
)

const defaultConfig = "paygate.yaml"

// configFlag adds -c/--config and returns where its value will be.
func configFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("config", "c", defaultConfig, "configuration `file`")
}

// loadConfig reads a configuration. Its error ends the process with exitConfiguration and prints every problem.
// The caller tells of Config.Notes.
func loadConfig(path string) (*config.Config, error) {
	c, err := config.Load(path)
	if err != nil {
		return nil, &exitError{exitConfiguration, missingHint(err)}
	}
	return c, nil
}

func missingHint(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return errors.Join(err, errors.New("start from config.example.yaml, or name your file with -c"))
	}
	return err
}

// isTerminal reports whether a person is likely to read what is written to w.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
