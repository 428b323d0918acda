package clients

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/anacrolix/torrent/metainfo"

	"paygate/units"
)

// inspect returns the info-hash of a torrent and whether all of its files lie under dir in their full size.
func inspect(torrent []byte, dir string) (units.InfoHash, bool, error) {
	mi, err := metainfo.Load(bytes.NewReader(torrent))
	if err != nil {
		return units.InfoHash{}, false, fmt.Errorf("read torrent: %w", err)
	}
	info, err := mi.UnmarshalInfo()
	if err != nil {
		return units.InfoHash{}, false, fmt.Errorf("read torrent: %w", err)
	}
	complete := true
	for _, f := range info.UpvertedFiles() {
		path := filepath.Join(append([]string{dir, info.BestName()}, f.BestPath()...)...)
		st, err := os.Stat(path)
		complete = complete && err == nil && st.Size() == f.Length
	}
	return units.InfoHash(mi.HashInfoBytes()), complete, nil
}
