package scenario

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Programs are the paths of the programs built from this module.
type Programs struct {
	Paygate   string
	Anacrolix string // the client in test/anacrolix
}

// Build compiles the programs into dir. The go command must be on the search path and the working directory inside
// this module.
func Build(ctx context.Context, dir string) (Programs, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Programs{}, fmt.Errorf("make directory for programs: %w", err)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Programs{}, err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir+string(filepath.Separator),
		"paygate/cmd/paygate", "paygate/test/anacrolix")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return Programs{}, fmt.Errorf("build paygate and the anacrolix client: %w\n%s", err, output)
	}
	return Programs{Paygate: filepath.Join(dir, "paygate"), Anacrolix: filepath.Join(dir, "anacrolix")}, nil
}
