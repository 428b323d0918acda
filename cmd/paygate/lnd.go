package main

import "github.com/spf13/cobra"

const lndHelp = `Helps to connect paygate with your lnd. paygate speaks to lnd over gRPC, with a macaroon that says what it may do there.`

func newLndCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "lnd", Short: "Connect paygate with your lnd", Long: lndHelp, Example: "  paygate lnd setup",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newLndSetupCommand())
	return cmd
}
