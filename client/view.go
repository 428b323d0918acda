package client

import (
	"time"

	"paygate/units"
)

// View tells which torrents a client has. Its methods answer from memory and may be called from any goroutine. What
// they return is shared and must not be written to.
type View interface {
	// InfoHashes lists every 20-byte form by which a torrent of the client may be asked for. It is the same slice until
	// the set of torrents changes.
	InfoHashes() []units.InfoHash
	// Torrent tells what is known of a torrent, by any of its info-hashes; false if the client does not have it.
	Torrent(ih units.InfoHash) (Torrent, bool)
}

// Torrent is what a client tells of one torrent. Where it tells nothing the fields are empty, except as they say.
type Torrent struct {
	Hashes        []units.InfoHash // every 20-byte form it is known by: v1, and the first 20 bytes of v2 (BEP 52)
	Name          string           // as the torrent's author chose it: not to be trusted
	Category      string           // qBittorrent
	Tags          []string         // qBittorrent's tags, Transmission's labels
	Private       bool             // BEP 27
	PrivateKnown  bool             // false: Private was not told (yet)
	ProgressKnown bool             // false: Done, Uploaded, Downloaded and Ratio were not told
	Trackers      []string         // announce URLs; they may hold the owner's passkeys, so they must never be shown
	Size          units.Bytes      // of what is wanted of it
	Done          units.Bytes      // of Size
	Uploaded      units.Bytes      // ever
	Downloaded    units.Bytes      // ever
	Ratio         float64          // uploaded by downloaded, as the client counts it; below 0: not told
	Seeds         int              // in the swarm, as trackers tell; -1: unknown
	Added         time.Time        // zero: unknown
}

// Complete reports whether the client has all that is wanted of the torrent.
func (t Torrent) Complete() bool { return t.ProgressKnown && t.Done >= t.Size }
