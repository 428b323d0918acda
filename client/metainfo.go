package client

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/metainfo"

	"paygate/units"
)

var (
	errNoTorrent = errors.New("it is no torrent")
	errNoInfo    = errors.New("it has no info dictionary")
)

// parseTorrent reads a .torrent file (BEP 3, 12, 27, 52). Bytes behind it do not matter.
func parseTorrent(data []byte) (*Torrent, error) {
	if len(data) > maxTorrentFile {
		return nil, fmt.Errorf("it has more than %d bytes", maxTorrentFile)
	}
	end, ok := bencoded(data)
	if !ok {
		return nil, errNoTorrent
	}
	var mi metainfo.MetaInfo
	if err := bencode.Unmarshal(data[:end], &mi); err != nil {
		return nil, err
	}
	if len(mi.InfoBytes) == 0 || mi.InfoBytes[0] != 'd' {
		return nil, errNoInfo
	}
	var info metainfo.Info
	if err := bencode.Unmarshal(mi.InfoBytes, &info); err != nil {
		return nil, fmt.Errorf("its info: %w", err)
	}
	return describe(&mi, &info), nil
}

func describe(mi *metainfo.MetaInfo, info *metainfo.Info) *Torrent {
	t := &Torrent{
		Name: clip(info.Name, maxName), Private: info.Private != nil && *info.Private, PrivateKnown: true, Seeds: -1, Ratio: -1,
		Size: units.Bytes(size(info)),
	}
	two := info.MetaVersion == 2
	if !two || len(info.Pieces) > 0 {
		t.Hashes = append(t.Hashes, units.InfoHash(mi.HashInfoBytes()))
	}
	if two {
		long := sha256.Sum256(mi.InfoBytes)
		t.Hashes = append(t.Hashes, units.InfoHash(long[:20]))
	}
	var urls []string
	for _, tier := range mi.UpvertedAnnounceList() {
		urls = append(urls, tier...)
	}
	t.Trackers = clipAll(urls, maxTrackers, maxURL)
	return t
}

// size adds up the files of a torrent. Lengths that no torrent has count as nothing.
func size(info *metainfo.Info) int64 {
	total := int64(0)
	add := func(n int64) {
		if n > 0 && total+n > 0 {
			total += n
		}
	}
	switch {
	case len(info.Files) > 0:
		for _, f := range info.Files {
			add(f.Length)
		}
	case info.MetaVersion == 2:
		info.FileTree.Walk(nil, func(_ []string, f *metainfo.FileTree) {
			if !f.IsDir() {
				add(f.File.Length)
			}
		})
	default:
		add(info.Length)
	}
	return total
}

// maxDepth bounds how deep lists and dictionaries lie in one another. File trees are as deep as directories.
const maxDepth = 100

// bencoded finds the end of the bencoded value that data begins with. It holds decoders from what would make them run
// out of stack or memory: values within values without end, and strings longer than the data.
func bencoded(data []byte) (end int, ok bool) {
	depth, at := 0, 0
	for at < len(data) {
		switch c := data[at]; {
		case c == 'd' || c == 'l':
			if depth++; depth > maxDepth {
				return 0, false
			}
			at++
		case c == 'e':
			depth--
			at++
		case c == 'i':
			n := integerEnd(data[at:])
			if n == 0 {
				return 0, false
			}
			at += n
		case c >= '0' && c <= '9':
			n := stringEnd(data[at:])
			if n == 0 {
				return 0, false
			}
			at += n
		default:
			return 0, false
		}
		if depth <= 0 {
			return at, depth == 0
		}
	}
	return 0, false
}

// integerEnd is the length of an integer of at most 20 digits; 0 if it is none.
func integerEnd(data []byte) int {
	for i := 1; i < min(len(data), 23); i++ {
		if data[i] == 'e' {
			return i + 1
		}
	}
	return 0
}

// stringEnd is the length of a string with what tells its length; 0 if it is none, or goes beyond data.
func stringEnd(data []byte) int {
	n := 0
	for i, c := range data[:min(len(data), 10)] {
		switch {
		case c == ':' && n <= len(data)-i-1:
			return i + 1 + n
		case c < '0' || c > '9':
			return 0
		}
		n = n*10 + int(c-'0')
	}
	return 0
}
