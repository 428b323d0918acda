package proxy

import (
	"bufio"
	"container/list"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"time"
)

// openAliases reads the alias file, if path is not empty, and keeps it open for appending. Lines that make no sense, as
// after a crash in mid-write, are left out.
func openAliases(prefix netip.Prefix, avoid netip.Addr, path string, now func() time.Time) (*aliases, error) {
	prefix = prefix.Masked()
	if !prefix.IsValid() || !prefix.Addr().Is4() || !prefix.Addr().IsLoopback() || prefix.Bits() < 8 {
		return nil, fmt.Errorf("alias range %s: it must lie in 127.0.0.0/8", prefix)
	}
	a := &aliases{
		prefix: prefix, avoid: avoid, path: path, now: now, most: maxAliases,
		remote: map[netip.Addr]*list.Element{}, taken: map[netip.Addr]*list.Element{}, byAge: list.New(),
		nets: map[netip.Addr][]*list.Element{}, legs: map[netip.AddrPort]uint16{},
		next: prefix.Addr().Next(), lap: now(),
	}
	if path == "" {
		return a, nil
	}
	if err := a.load(); err != nil {
		return nil, fmt.Errorf("read aliases: %w", err)
	}
	if err := a.save(); err != nil {
		return nil, fmt.Errorf("write aliases: %w", err)
	}
	return a, nil
}

// load reads leases: one line each, remote, alias and the Unix time of its last use. The last line of a remote counts.
func (a *aliases) load() error {
	f, err := os.Open(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var leases []*lease
	for in := bufio.NewScanner(f); in.Scan(); {
		if l, ok := parseLease(in.Text()); ok && a.prefix.Contains(l.alias) {
			leases = append(leases, l)
		}
	}
	slices.SortStableFunc(leases, func(x, y *lease) int { return x.used.Compare(y.used) })
	for _, l := range leases {
		a.restore(l)
	}
	return nil
}

func (a *aliases) restore(l *lease) {
	for _, e := range []*list.Element{a.remote[l.remote], a.taken[l.alias]} {
		if e != nil && a.remote[e.Value.(*lease).remote] == e {
			a.forget(e)
		}
	}
	if net := a.nets[subscriber(l.remote)]; len(net) >= perNetwork {
		a.forget(net[0])
	}
	a.remember(l)
	if !l.alias.Less(a.next) {
		a.next = l.alias.Next()
	}
	if a.byAge.Len() > a.most {
		a.forget(a.byAge.Front())
	}
}

func parseLease(line string) (*lease, bool) {
	var remote, alias string
	var used int64
	if _, err := fmt.Sscanf(line, "%s %s %d", &remote, &alias, &used); err != nil {
		return nil, false
	}
	r, err1 := netip.ParseAddr(remote)
	l, err2 := netip.ParseAddr(alias)
	if err1 != nil || err2 != nil || !l.Is4() {
		return nil, false
	}
	return &lease{remote: r.Unmap().WithZone(""), alias: l, used: time.Unix(used, 0)}, true
}

func (l *lease) write(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s %s %d\n", l.remote, l.alias, l.used.Unix())
	return err
}

// note appends a new lease to the file, so that a crash does not free its alias. A disk that fails here makes itself heard
// at the next save.
func (a *aliases) note(l *lease) {
	l.used = a.now()
	if a.file != nil {
		_ = l.write(a.file)
	}
}

// sync writes the file anew if anything has changed.
func (a *aliases) sync() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.path == "" || !a.dirty {
		return nil
	}
	if err := a.save(); err != nil {
		return fmt.Errorf("write aliases: %w", err)
	}
	return nil
}

// save replaces the file by the present leases. Peers' addresses are nobody else's business: mode 0600.
func (a *aliases) save() error {
	next := a.path + ".new"
	f, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(a.writeAll(f), os.Rename(next, a.path)); err != nil {
		f.Close()
		return err
	}
	if a.file != nil {
		a.file.Close()
	}
	a.file, a.dirty = f, false
	return nil
}

func (a *aliases) writeAll(f *os.File) error {
	w := bufio.NewWriter(f)
	for e := a.byAge.Front(); e != nil; e = e.Next() {
		if err := e.Value.(*lease).write(w); err != nil {
			return err
		}
	}
	return w.Flush()
}

// close writes the file a last time.
func (a *aliases) close() error {
	err := a.sync()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.file != nil {
		err = errors.Join(err, a.file.Close())
		a.file = nil
	}
	return err
}
