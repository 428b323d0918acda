package client

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"paygate/units"
)

// qBittorrent reads through the WebUI API v2 (qBittorrent 4.1 and later). sync/maindata tells only what has changed
// since the last answer, by a number that goes back and forth.
type qBittorrent struct {
	web      *web
	user     string
	password units.Secret

	rid      int64
	set      time.Time // when the settings were read last
	full     time.Time // when all was read last
	trackers map[string][]string
	asked    map[string]bool // torrents whose properties have been asked for
	private  map[string]bool // what they said; a torrent's flag never changes
	legacy   bool            // torrents do not say whether they are private
	up, down number          // speeds
}

// qbResync is how often all is read anew, in case a change was missed.
const qbResync = 10 * time.Minute

// qbPrivate is how many torrents are asked at a time whether they are private, where the list does not tell.
const qbPrivate = 100

func newQBittorrent(w *web, user string, password units.Secret) *qBittorrent {
	return &qBittorrent{web: w, user: user, password: password, private: map[string]bool{}}
}

// qbTorrent is what sync/maindata tells of one torrent; nil: unchanged, or not told by this version.
type qbTorrent struct {
	Name       *string `json:"name"`
	Category   *string `json:"category"`
	Tags       *string `json:"tags"`
	V1         *string `json:"infohash_v1"`
	V2         *string `json:"infohash_v2"`
	Private    *bool   `json:"private"`
	Size       *number `json:"size"`
	TotalSize  *number `json:"total_size"`
	Left       *number `json:"amount_left"`
	Uploaded   *number `json:"uploaded"`
	Downloaded *number `json:"downloaded"`
	Ratio      *number `json:"ratio"`
	Seeds      *number `json:"num_complete"`
	Added      *number `json:"added_on"`
}

// apply takes over what has changed. Left comes without Size when only it has changed.
func (q *qbTorrent) apply(key string, t *Torrent) {
	if q.V1 != nil || q.V2 != nil || t.Hashes == nil {
		t.Hashes = hashesOf(deref(q.V1), deref(q.V2), key)
	}
	if q.Name != nil {
		t.Name = clip(*q.Name, maxName)
	}
	if q.Category != nil {
		t.Category = clip(*q.Category, maxName)
	}
	if q.Tags != nil {
		t.Tags = clipAll(strings.Split(*q.Tags, ","), maxTags, maxName)
	}
	q.applyProgress(t)
	if q.Ratio != nil {
		t.Ratio = float64(*q.Ratio)
	}
	if q.Seeds != nil {
		t.Seeds = -1
		if n := q.Seeds.limit(); n > 0 { // 0 is also what it says before any tracker has answered
			t.Seeds = n
		}
	}
	if q.Added != nil && *q.Added > 0 {
		t.Added = time.Unix(q.Added.int(), 0)
	}
	if q.Private != nil && t.Size > 0 { // without metadata nobody knows
		t.Private, t.PrivateKnown = *q.Private, true
	}
}

func (q *qbTorrent) applyProgress(t *Torrent) {
	left := t.Size - t.Done
	if q.Size != nil {
		t.Size = units.Bytes(max(0, q.Size.int()))
	}
	if q.Left != nil {
		left = units.Bytes(max(0, q.Left.int()))
	}
	if q.Size != nil || q.Left != nil {
		t.Done = max(0, t.Size-left)
		t.ProgressKnown = t.Size > 0
	}
	if q.Uploaded != nil {
		t.Uploaded = units.Bytes(max(0, q.Uploaded.int()))
	}
	if q.Downloaded != nil {
		t.Downloaded = units.Bytes(max(0, q.Downloaded.int()))
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// refresh brings the book up to date. A session that has ended is begun anew.
func (q *qBittorrent) refresh(ctx context.Context, b *book, now time.Time) error {
	if q.rid == 0 || now.Sub(q.set) >= settingsPause {
		if err := q.readSettings(ctx, b); err != nil {
			return err
		}
		q.set = now
	}
	if q.rid == 0 || now.Sub(q.full) >= qbResync {
		q.rid, q.full = 0, now
	}
	resp, err := q.call(ctx, fmt.Sprintf("sync/maindata?rid=%d", q.rid))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := q.readMain(json.NewDecoder(resp.Body), b); err != nil {
		q.rid = 0
		return fmt.Errorf("sync/maindata: %w", err)
	}
	return q.readPrivate(ctx, b)
}

// readMain reads an answer of sync/maindata. With full_update it replaces all that is known; that key may come after
// others, so a full update is asked for by rid 0 and known beforehand, but a server may also decide so itself.
func (q *qBittorrent) readMain(d *json.Decoder, b *book) error {
	full := q.rid == 0
	if full {
		q.forget(b)
	}
	retold := map[string][]string{}
	err := fields(d, func(key string) error {
		switch key {
		case "rid":
			var n number
			err := d.Decode(&n)
			q.rid = max(0, n.int())
			return err
		case "full_update":
			var now bool
			err := d.Decode(&now)
			if now && !full {
				full = true
				q.forget(b)
			}
			return err
		case "server_state":
			return q.readState(d, b)
		case "torrents":
			return fields(d, func(hash string) error { return q.readTorrent(d, b, hash) })
		case "torrents_removed":
			return elements(d, func() error { return q.removeTorrent(d, b) })
		case "trackers":
			return fields(d, func(u string) error { return readTracker(d, u, retold) })
		case "trackers_removed":
			return elements(d, func() error { return q.removeTracker(d, retold) })
		}
		return ignore(d)
	})
	if err != nil {
		return err
	}
	q.applyTrackers(b, retold)
	return nil
}

func (q *qBittorrent) forget(b *book) {
	b.reset()
	q.trackers, q.asked, q.legacy = map[string][]string{}, map[string]bool{}, false
}

func (q *qBittorrent) readTorrent(d *json.Decoder, b *book, hash string) error {
	var t qbTorrent
	if err := d.Decode(&t); err != nil {
		return err
	}
	hash = clip(hash, 64)
	_, known := b.torrents[hash]
	if !known && t.Private == nil {
		q.legacy = true
	}
	if !b.change(hash, func(to *Torrent) { t.apply(hash, to) }) {
		return errTooMuch
	}
	return nil
}

func (q *qBittorrent) removeTorrent(d *json.Decoder, b *book) error {
	var hash string
	if err := d.Decode(&hash); err != nil {
		return err
	}
	b.remove(hash)
	delete(q.asked, hash)
	delete(q.private, hash)
	return nil
}

func readTracker(d *json.Decoder, u string, into map[string][]string) error {
	var hashes []string
	if err := d.Decode(&hashes); err != nil {
		return err
	}
	if len(u) <= maxURL && len(into) < 2*maxTorrents {
		into[strings.Clone(u)] = hashes
	}
	return nil
}

func (q *qBittorrent) removeTracker(d *json.Decoder, into map[string][]string) error {
	var u string
	if err := d.Decode(&u); err != nil {
		return err
	}
	if _, ok := q.trackers[u]; ok {
		into[u] = nil
	}
	return nil
}

// applyTrackers gives the torrents of every changed tracker their trackers anew. A change lists all the torrents of a
// tracker.
func (q *qBittorrent) applyTrackers(b *book, retold map[string][]string) {
	if len(retold) == 0 {
		return
	}
	touched := map[string]bool{}
	for u, hashes := range retold {
		for _, h := range append(slices.Clone(q.trackers[u]), hashes...) {
			touched[h] = true
		}
		if len(hashes) == 0 {
			delete(q.trackers, u)
		} else {
			q.trackers[u] = hashes
		}
	}
	lists := map[string][]string{}
	for u, hashes := range q.trackers {
		for _, h := range hashes {
			if touched[h] {
				lists[h] = append(lists[h], u)
			}
		}
	}
	for h := range touched {
		if _, ok := b.torrents[h]; ok {
			slices.Sort(lists[h])
			b.change(h, func(t *Torrent) { t.Trackers = clipAll(lists[h], maxTrackers, maxURL) })
		}
	}
}

func (q *qBittorrent) readState(d *json.Decoder, b *book) error {
	var s struct {
		Uploaded  *number `json:"up_info_data"`
		UpSpeed   *number `json:"up_info_speed"`
		DownSpeed *number `json:"dl_info_speed"`
	}
	if err := d.Decode(&s); err != nil {
		return err
	}
	if s.Uploaded != nil {
		b.uploaded, b.counted = units.Bytes(max(0, s.Uploaded.int())), true
	}
	q.up, q.down = *cmp.Or(s.UpSpeed, &q.up), *cmp.Or(s.DownSpeed, &q.down)
	b.busy = q.up > 0 || q.down > 0
	return nil
}

// readPrivate asks older versions, whose list does not tell, torrent by torrent whether it is private.
func (q *qBittorrent) readPrivate(ctx context.Context, b *book) error {
	b.backlog = false
	if !q.legacy {
		return nil
	}
	left := qbPrivate
	for hash, t := range b.torrents {
		if t.PrivateKnown || t.Size == 0 || q.asked[hash] {
			continue
		}
		if private, ok := q.private[hash]; ok {
			b.change(hash, func(t *Torrent) { t.Private, t.PrivateKnown = private, true })
			continue
		}
		if left--; left < 0 {
			b.backlog = true
			return nil
		}
		if err := q.askPrivate(ctx, b, hash); err != nil {
			return err
		}
	}
	return nil
}

func (q *qBittorrent) askPrivate(ctx context.Context, b *book, hash string) error {
	resp, err := q.call(ctx, "torrents/properties?hash="+url.QueryEscape(hash))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	q.asked[hash] = true
	if resp.StatusCode == http.StatusNotFound { // it has gone meanwhile
		return nil
	}
	var p struct {
		Private *bool `json:"is_private"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		return fmt.Errorf("torrents/properties: %w", err)
	}
	if p.Private != nil {
		q.private[hash] = *p.Private
		b.change(hash, func(t *Torrent) { t.Private, t.PrivateKnown = *p.Private, true })
	}
	return nil
}
