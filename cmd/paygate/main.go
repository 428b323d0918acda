package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"paygate/config"
)

// Exit statuses other than 0.
const (
	exitFailure       = 1
	exitConfiguration = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(execute(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs one command line and returns its exit status.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var coded *exitError
	if !errors.As(err, &coded) {
		coded = &exitError{code: exitFailure, err: err}
	}
	if coded.err != nil {
		printError(stderr, coded.err)
	}
	return coded.code
}

func printError(w io.Writer, err error) {
	var problems config.Problems
	if errors.As(err, &problems) {
		fmt.Fprintln(w, problems)
		return
	}
	fmt.Fprintln(w, "paygate:", err)
}

// exitError ends the process with a status of its own. A nil err prints nothing: everything was said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

const rootHelp = `paygate sits between your BitTorrent client and the swarm, and lets you be paid, or pay,
for bytes over Lightning. The client stays as it is; what is charged or spent is in one YAML file.

Nothing is charged and nothing is spent until a rule says so.`

const rootExample = `  # see that a configuration is right, and what it will sell and buy
  paygate check -c paygate.yaml

  # try it without real money: two Lightning nodes that exist only on this machine
  paygate sandbox --dir sandbox --nodes seller,buyer

  # watch a running paygate
  paygate status -c paygate.yaml --watch`

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use: "paygate", Short: "Sell and buy BitTorrent bytes over Lightning", Long: rootHelp, Example: rootExample,
		SilenceUsage: true, SilenceErrors: true,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(usageError)
	root.AddCommand(
		newRunCommand(),
		newBlockCommand(),
		newCheckCommand(),
		newDoctorCommand(),
		newExplainCommand(),
		newFirewallCommand(),
		newLndCommand(),
		newLedgerCommand(),
		newPaymentsCommand(),
		newReloadCommand(),
		newSandboxCommand(),
		newStatusCommand(),
		newUnblockCommand(),
		newVersionCommand(),
	)
	checkArgs(root)
	return root
}

// checkArgs makes a wrong argument of any command a mistake on the command line.
func checkArgs(cmd *cobra.Command) {
	cmd.Args = usageArgs(cmd.Args)
	for _, c := range cmd.Commands() {
		checkArgs(c)
	}
}

// usageError gives a mistake on the command line the exit status of a wrong configuration, and says where help is.
func usageError(cmd *cobra.Command, err error) error {
	return &exitError{exitConfiguration, fmt.Errorf("%w\nSee `%s --help`", err, cmd.CommandPath())}
}

func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check == nil {
			check = cobra.NoArgs
		}
		if err := check(cmd, args); err != nil {
			return usageError(cmd, err)
		}
		return nil
	}
}
