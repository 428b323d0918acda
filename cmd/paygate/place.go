package main

import (
	"path/filepath"

	"github.com/spf13/cobra"
)

// ledgerFile is the ledger's name in data_dir.
const ledgerFile = "ledger.sqlite"

// place says where the data directory is: a configuration names it, or the owner does, so that the books can be
// looked after even where the configuration cannot be read.
type place struct{ config, dataDir string }

// placeFlags adds -c/--config and --data-dir.
func placeFlags(cmd *cobra.Command) *place {
	var p place
	cmd.Flags().StringVarP(&p.config, "config", "c", defaultConfig, "configuration `file`, which names data_dir")
	cmd.Flags().StringVar(&p.dataDir, "data-dir", "", "data `directory`, instead of the configuration's")
	return &p
}

// directory returns the data directory.
func (p place) directory() (string, error) {
	if p.dataDir != "" {
		return p.dataDir, nil
	}
	c, err := loadConfig(p.config)
	if err != nil {
		return "", err
	}
	return c.DataDir, nil
}

// ledger returns the path of the ledger's file.
func (p place) ledger() (string, error) {
	dir, err := p.directory()
	return filepath.Join(dir, ledgerFile), err
}
