package sandbox

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const (
	stateVersion = 1
	maxLine      = 1 << 20
)

// store appends events to the state file, one JSON line each. A line is handed to the kernel before its event takes
// effect, so that a killed process loses nothing that it has told anyone; it is not synced to the disk, so a power cut
// may. A line that a crash has torn is the last one and is cut off.
type store struct{ file *os.File }

// openStore opens or makes the state file in dir and hands every event in it to apply. Only one process may have it.
func openStore(dir string, apply func(event) error) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make sandbox directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "state.jsonl"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open sandbox state: %w", err)
	}
	s := &store{file: f}
	if err := s.load(apply); err != nil {
		return nil, errors.Join(fmt.Errorf("read sandbox state %s: %w", f.Name(), err), f.Close())
	}
	return s, nil
}

func (s *store) load(apply func(event) error) error {
	if err := lockFile(s.file); err != nil {
		return fmt.Errorf("another process has it: %w", err)
	}
	good, err := replay(s.file, apply)
	if err != nil {
		return err
	}
	if err := s.file.Truncate(good); err != nil {
		return err
	}
	if _, err := s.file.Seek(good, io.SeekStart); err != nil {
		return err
	}
	if good == 0 {
		return s.append(event{Version: stateVersion})
	}
	return nil
}

// replay applies every whole line and returns where the last of them ends.
func replay(r io.Reader, apply func(event) error) (good int64, err error) {
	b := bufio.NewReaderSize(r, maxLine)
	for n := 1; ; n++ {
		line, err := b.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return good, nil
		}
		if err == nil {
			err = applyLine(line, n, apply)
		}
		if err != nil {
			return 0, fmt.Errorf("line %d: %w", n, err)
		}
		good += int64(len(line))
	}
}

func applyLine(line []byte, n int, apply func(event) error) error {
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		return err
	}
	if n == 1 {
		if e.Version != stateVersion {
			return fmt.Errorf("version %d is not %d", e.Version, stateVersion)
		}
		return nil
	}
	return apply(e)
}

func (s *store) append(e event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode sandbox event: %w", err)
	}
	if _, err := s.file.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write sandbox state: %w", err)
	}
	return nil
}

func (s *store) close() error {
	if s == nil {
		return nil
	}
	return s.file.Close()
}
