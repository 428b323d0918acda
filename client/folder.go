package client

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"paygate/units"
)

const (
	maxTorrentFile = 16 << 20 // bytes: a torrent of 800,000 pieces
	folderPause    = time.Minute
	folderSuffix   = ".torrent"
)

// Folder is a View of the *.torrent files in a directory, which say nothing of progress. Files in directories below
// it do not count.
type Folder struct {
	dir   string
	log   *zap.Logger
	state atomic.Pointer[snapshot]
	files map[string]folderFile // of the goroutine in Scan
}

// folderFile is a file as it was read.
type folderFile struct {
	size    int64
	changed time.Time
	torrent *Torrent // nil: it is none
}

// NewFolder makes a Folder. It reads nothing yet.
func NewFolder(dir string, deps Deps) *Folder {
	if deps.Log == nil {
		deps.Log = zap.NewNop()
	}
	return &Folder{dir: dir, log: deps.Log, files: map[string]folderFile{}}
}

// InfoHashes implements View.
func (f *Folder) InfoHashes() []units.InfoHash { return f.state.Load().InfoHashes() }

// Torrent implements View.
func (f *Folder) Torrent(ih units.InfoHash) (Torrent, bool) { return f.state.Load().Torrent(ih) }

// Run looks at the directory at once and then every minute, until ctx ends, and returns nil then. It says on the log
// when the directory cannot be read, and when it can again.
func (f *Folder) Run(ctx context.Context) error {
	tick := time.NewTicker(folderPause)
	defer tick.Stop()
	failed := false
	for {
		err := f.Scan()
		if err != nil && !failed {
			f.log.Warn("the torrents of client.torrents are not known", zap.Error(err))
		} else if err == nil && failed {
			f.log.Info("the torrents of client.torrents are known again", zap.Int("info_hashes", len(f.InfoHashes())))
		}
		failed = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Scan looks at the directory once. Only files that have changed are read. It must not be called while Run runs.
func (f *Folder) Scan() error {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return fmt.Errorf("read client.torrents: %w", err)
	}
	seen := map[string]folderFile{}
	changed := f.state.Load() == nil
	for _, e := range entries {
		name := e.Name()
		if !strings.EqualFold(filepath.Ext(name), folderSuffix) || len(seen) >= maxTorrents {
			continue
		}
		info, err := os.Stat(filepath.Join(f.dir, name))
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		now, known := f.files[name]
		if !known || now.size != info.Size() || !now.changed.Equal(info.ModTime()) {
			now = f.read(name, info)
			changed = true
		}
		seen[name] = now
	}
	changed = changed || len(seen) != len(f.files)
	f.files = seen
	if changed {
		f.state.Store(newSnapshot(f.state.Load(), f.torrents))
	}
	return nil
}

func (f *Folder) torrents(yield func(*Torrent) bool) {
	for _, file := range f.files {
		if file.torrent != nil && !yield(file.torrent) {
			return
		}
	}
}

func (f *Folder) read(name string, info os.FileInfo) folderFile {
	file := folderFile{size: info.Size(), changed: info.ModTime()}
	t, err := readTorrentFile(filepath.Join(f.dir, name))
	if err != nil {
		f.log.Warn("a file in client.torrents is no torrent", zap.String("file", clip(name, 255)), zap.Error(err))
		return file
	}
	t.Added = info.ModTime()
	file.torrent = t
	return file
}

func readTorrentFile(path string) (*Torrent, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxTorrentFile+1))
	if err != nil {
		return nil, err
	}
	return parseTorrent(data)
}
