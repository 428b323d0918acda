package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"paygate/units"
)

// transmission reads through the RPC of Transmission 2.80 and later. torrent-get tells, if asked for what was lately
// active, only the torrents that have changed in the last minute.
type transmission struct {
	web      *web
	user     string
	password units.Secret
	session  string // a guard against cross-site requests, handed out with status 409

	again       bool      // it has started anew, and numbers its torrents anew
	set         time.Time // when the settings were read last
	full, light time.Time // when everything, and when what owners change, was read last
}

const (
	trSessionHeader = "X-Transmission-Session-Id"
	trRPC           = "/transmission/rpc"

	trResync = 10 * time.Minute // everything is read anew
	trLight  = 2 * time.Minute  // labels and progress of all torrents are read: a change of labels may not count as activity
	trRecent = 45 * time.Second // the longest time between two answers for "recently-active", which looks back 60 s
)

func newTransmission(w *web, user string, password units.Secret) *transmission {
	return &transmission{web: w, user: user, password: password}
}

// trTorrent is what torrent-get tells of one torrent; nil: not asked for, or not known to this version.
type trTorrent struct {
	ID         *number   `json:"id"`
	Hash       *string   `json:"hashString"`
	Name       *string   `json:"name"`
	Labels     *[]string `json:"labels"`
	Private    *bool     `json:"isPrivate"`
	Metadata   *number   `json:"metadataPercentComplete"`
	Size       *number   `json:"sizeWhenDone"`
	Left       *number   `json:"leftUntilDone"`
	Uploaded   *number   `json:"uploadedEver"`
	Downloaded *number   `json:"downloadedEver"`
	Ratio      *number   `json:"uploadRatio"`
	Added      *number   `json:"addedDate"`
	Trackers   *[]struct {
		Announce string `json:"announce"`
		Seeds    number `json:"seederCount"`
	} `json:"trackerStats"`
}

var (
	trAll = []string{
		"id", "hashString", "name", "labels", "isPrivate", "metadataPercentComplete", "sizeWhenDone", "leftUntilDone",
		"uploadedEver", "downloadedEver", "uploadRatio", "addedDate", "trackerStats",
	}
	trFew = []string{"id", "hashString", "labels", "sizeWhenDone", "leftUntilDone"}
)

func (q *trTorrent) apply(t *Torrent) {
	if q.Hash != nil {
		t.Hashes = hashesOf(*q.Hash)
	}
	if q.Name != nil {
		t.Name = clip(*q.Name, maxName)
	}
	if q.Labels != nil {
		t.Tags = clipAll(*q.Labels, maxTags, maxName)
	}
	if q.Private != nil {
		t.Private, t.PrivateKnown = *q.Private, q.Metadata == nil || *q.Metadata >= 1
	}
	if q.Size != nil && q.Left != nil {
		t.Size = units.Bytes(max(0, q.Size.int()))
		t.Done = max(0, t.Size-units.Bytes(max(0, q.Left.int())))
		t.ProgressKnown = t.Size > 0
	}
	if q.Uploaded != nil {
		t.Uploaded = units.Bytes(max(0, q.Uploaded.int()))
	}
	if q.Downloaded != nil {
		t.Downloaded = units.Bytes(max(0, q.Downloaded.int()))
	}
	if q.Ratio != nil {
		t.Ratio = float64(*q.Ratio)
	}
	if q.Added != nil && *q.Added > 0 {
		t.Added = time.Unix(q.Added.int(), 0)
	}
	q.applyTrackers(t)
}

func (q *trTorrent) applyTrackers(t *Torrent) {
	if q.Trackers == nil {
		return
	}
	t.Seeds = -1
	var urls []string
	for _, tr := range *q.Trackers {
		if n := tr.Seeds.int(); n >= 0 {
			t.Seeds = max(t.Seeds, tr.Seeds.limit())
		}
		urls = append(urls, tr.Announce)
	}
	t.Trackers = clipAll(urls, maxTrackers, maxURL)
}

// refresh brings the book up to date.
func (q *transmission) refresh(ctx context.Context, b *book, now time.Time) error {
	err := q.lists(ctx, b, now)
	if err == nil && q.again {
		b.reset()
		q.again, q.full = false, time.Time{}
		err = q.lists(ctx, b, now)
	}
	if err != nil {
		return err
	}
	b.read = now
	return q.readStats(ctx, b)
}

// lists reads as much about the torrents as is due.
func (q *transmission) lists(ctx context.Context, b *book, now time.Time) error {
	var err error
	if q.full.IsZero() || now.Sub(q.set) >= settingsPause {
		if err = q.readSettings(ctx, b); err != nil {
			return err
		}
		q.set = now
	}
	switch {
	case q.full.IsZero() || now.Sub(q.full) >= trResync:
		if err = q.list(ctx, b, nil, trAll); err == nil {
			q.full, q.light = now, now
		}
	case now.Sub(q.light) >= trLight || now.Sub(b.read) > trRecent:
		if err = q.list(ctx, b, nil, trFew); err == nil {
			q.light = now
		}
	default:
		err = q.list(ctx, b, "recently-active", trAll)
	}
	return err
}

// list reads torrents: all of them (ids nil), of which those that are not told any more are gone, or the lately active.
func (q *transmission) list(ctx context.Context, b *book, ids any, want []string) error {
	arguments := map[string]any{"fields": want}
	if ids != nil {
		arguments["ids"] = ids
	}
	seen := map[string]bool{}
	unknown := false
	err := q.call(ctx, "torrent-get", arguments, func(d *json.Decoder) error {
		return fields(d, func(key string) error {
			switch key {
			case "torrents":
				return elements(d, func() error {
					known, err := readTrTorrent(d, b, seen)
					unknown = unknown || !known
					return err
				})
			case "removed":
				return elements(d, func() error { return removeTrTorrent(d, b) })
			}
			return ignore(d)
		})
	})
	if err != nil {
		return err
	}
	if ids == nil {
		for key := range b.torrents {
			if !seen[key] {
				b.remove(key)
			}
		}
		if unknown && len(want) < len(trAll) {
			return q.list(ctx, b, nil, trAll) // a new one, of which only a part was asked
		}
	}
	return nil
}

func readTrTorrent(d *json.Decoder, b *book, seen map[string]bool) (known bool, err error) {
	var t trTorrent
	if err := d.Decode(&t); err != nil {
		return false, err
	}
	if t.ID == nil {
		return true, errors.New("a torrent without an id")
	}
	key := strconv.FormatInt(t.ID.int(), 10)
	_, known = b.torrents[key]
	seen[key] = true
	if !b.change(key, t.apply) {
		return known, errTooMuch
	}
	return known, nil
}

func removeTrTorrent(d *json.Decoder, b *book) error {
	var id number
	if err := d.Decode(&id); err != nil {
		return err
	}
	b.remove(strconv.FormatInt(id.int(), 10))
	return nil
}

func (q *transmission) readStats(ctx context.Context, b *book) error {
	return q.call(ctx, "session-stats", nil, func(d *json.Decoder) error {
		var s struct {
			Up      number `json:"uploadSpeed"`
			Down    number `json:"downloadSpeed"`
			Current struct {
				Uploaded *number `json:"uploadedBytes"`
			} `json:"current-stats"`
		}
		if err := d.Decode(&s); err != nil {
			return err
		}
		b.busy = s.Up > 0 || s.Down > 0
		if s.Current.Uploaded != nil {
			b.uploaded, b.counted = units.Bytes(max(0, s.Current.Uploaded.int())), true
		}
		return nil
	})
}

// call makes one call and has its arguments read. The first one is refused with the session to use.
func (q *transmission) call(ctx context.Context, method string, arguments any, read func(*json.Decoder) error) error {
	body, err := json.Marshal(map[string]any{"method": method, "arguments": arguments})
	if err != nil {
		return err
	}
	resp, err := q.post(ctx, string(body))
	if err == nil && resp.StatusCode == http.StatusConflict {
		q.again = q.again || q.session != ""
		q.session = resp.Header.Get(trSessionHeader)
		resp.Body.Close()
		resp, err = q.post(ctx, string(body))
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return trRefusal(resp.StatusCode)
	}
	if err := readResult(resp.Body, read); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

func readResult(body io.Reader, read func(*json.Decoder) error) error {
	d := json.NewDecoder(body)
	result := ""
	err := fields(d, func(key string) error {
		switch key {
		case "result":
			return d.Decode(&result)
		case "arguments":
			return read(d)
		}
		return ignore(d)
	})
	if err == nil && result != "success" {
		err = fmt.Errorf("it says %q", clip(result, 100))
	}
	return err
}

func (q *transmission) post(ctx context.Context, body string) (*http.Response, error) {
	header := http.Header{trSessionHeader: {q.session}}
	if q.user != "" || q.password != "" {
		req := http.Request{Header: header}
		req.SetBasicAuth(q.user, q.password.Reveal())
	}
	return q.web.post(ctx, trRPC, "application/json", body, header)
}

func trRefusal(status int) error {
	switch status {
	case http.StatusUnauthorized:
		return &Problem{
			Trouble: Refused, Text: "Transmission refuses the user or the password",
			Remedy: "correct client.api.user and client.api.password: rpc-username and rpc-password in settings.json",
		}
	case http.StatusForbidden:
		return &Problem{
			Trouble: Unlisted, Text: "Transmission does not answer this machine's address",
			Remedy: "add it to rpc-whitelist in settings.json; after many wrong passwords, restart Transmission",
		}
	case http.StatusMisdirectedRequest:
		return &Problem{
			Trouble: Unlisted, Text: "Transmission does not answer to the name in client.api.url",
			Remedy: "ask it by IP address, such as http://127.0.0.1:9091, or add the name to rpc-host-whitelist in settings.json",
		}
	}
	return &Problem{Trouble: Broken, Text: fmt.Sprintf("Transmission answers with status %d", status), Remedy: "look into its log"}
}
