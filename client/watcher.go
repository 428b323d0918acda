package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"paygate/units"
)

const (
	busyPause  = 5 * time.Second  // between questions while the client transfers, or has changed lately
	idlePause  = 20 * time.Second // and while it does not
	morePause  = time.Second      // while there is more to ask
	leastPause = 2 * time.Second  // between questions that somebody waits for
	lately     = time.Minute

	settingsPause = time.Minute // between looks at the client's settings

	firstBackOff  = time.Second // after a failure, doubled with each
	mostBackOff   = time.Minute
	lockedBackOff = 30 * time.Minute // after a wrong password: clients ban whoever tries too often
	mostLocked    = 24 * time.Hour
)

// Config says where a client can be asked.
type Config struct {
	URL      string // http:// or https://, as one would open it in a browser
	User     string
	Password units.Secret
}

// Deps are what a Watcher works with.
type Deps struct {
	Log *zap.Logger // nil: silence
}

// Watcher asks one client, qBittorrent or Transmission, and shows what it has said. It implements View; its methods
// may be called from any goroutine, also before and after Run, and never wait for the client.
type Watcher struct {
	cfg   Config
	log   *zap.Logger
	state atomic.Pointer[state]
	ready chan struct{}
	hurry chan struct{}

	mu      sync.Mutex // of what follows: one question at a time
	web     *web
	adapter adapter // nil: not found out yet
	book    *book
}

// state is what was known after one question.
type state struct {
	torrents *snapshot // nil: none was told yet
	settings Settings
	known    bool // settings were told
	uploaded units.Bytes
	counted  bool
	at       time.Time // of the last answer
	problem  *Problem  // nil: the last question was answered
}

// New makes a Watcher. It asks nothing yet.
func New(cfg Config, deps Deps) (*Watcher, error) {
	w, err := newWeb(trimBase(cfg.URL))
	if err != nil {
		return nil, fmt.Errorf("watch client: %w", err)
	}
	if deps.Log == nil {
		deps.Log = zap.NewNop()
	}
	return &Watcher{
		cfg: cfg, log: deps.Log, web: w, book: newBook(),
		ready: make(chan struct{}), hurry: make(chan struct{}, 1),
	}, nil
}

// InfoHashes implements View.
func (w *Watcher) InfoHashes() []units.InfoHash { return w.now().torrents.InfoHashes() }

// Torrent implements View. A torrent is told of as it was when the client answered last, also while it is away.
func (w *Watcher) Torrent(ih units.InfoHash) (Torrent, bool) { return w.now().torrents.Torrent(ih) }

// Settings tells the client's settings; false until it has told them.
func (w *Watcher) Settings() (Settings, bool) { s := w.now(); return s.settings, s.known }

// Uploaded is how many payload bytes the client says it has uploaded since it started, and when it said so; false if it
// has not, or does not answer now. It falls when the client starts anew.
func (w *Watcher) Uploaded() (units.Bytes, bool) {
	s := w.now()
	return s.uploaded, s.counted && s.problem == nil
}

// Problem is why the client did not answer last; nil if it did, or has not been asked yet.
func (w *Watcher) Problem() *Problem { return w.now().problem }

// Ready is closed once the client has told its torrents and settings for the first time.
func (w *Watcher) Ready() <-chan struct{} { return w.ready }

// Hurry has the client asked soon, since somebody has met a torrent that it may just have got. It does not wait.
func (w *Watcher) Hurry() {
	select {
	case w.hurry <- struct{}{}:
	default:
	}
}

func (w *Watcher) now() *state {
	if s := w.state.Load(); s != nil {
		return s
	}
	return &state{}
}

// Ask asks once, now. Its error is a *Problem, or ctx's.
func (w *Watcher) Ask(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := w.ask(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	before := w.now()
	next := &state{
		torrents: before.torrents, settings: before.settings, known: before.known,
		uploaded: before.uploaded, counted: before.counted, at: before.at,
	}
	if err != nil {
		next.problem = problemOf(err)
		w.state.Store(next)
		return next.problem
	}
	next.torrents = w.book.snapshot(before.torrents)
	next.settings, next.known = w.book.settings, true
	next.uploaded, next.counted, next.at = w.book.uploaded, w.book.counted, time.Now()
	w.state.Store(next)
	if !before.known {
		close(w.ready)
	}
	return nil
}

func (w *Watcher) ask(ctx context.Context) error {
	if w.adapter == nil {
		a, err := detect(ctx, w.web, w.cfg.User, w.cfg.Password)
		if err != nil {
			return err
		}
		w.adapter = a
		w.book = newBook()
	}
	err := w.adapter.refresh(ctx, w.book, time.Now())
	if p := (*Problem)(nil); err != nil && (!errors.As(err, &p) || p.Trouble == Broken || p.Trouble == Away) {
		w.adapter = nil // begin anew: it may be another client by then
	}
	return err
}

// Close gives back what asking holds. Whoever calls Run need not call it.
func (w *Watcher) Close() { w.web.close() }

// Run asks until ctx ends, and returns nil then. It says on the log when the client goes away and when it is back.
func (w *Watcher) Run(ctx context.Context) error {
	defer w.Close()
	var p pace
	told := Trouble("")
	for {
		before := w.now().torrents
		err := w.Ask(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if t := troubleOf(err); t != told {
			w.tell(err)
			told = t
		}
		if !w.wait(ctx, p.next(time.Now(), err, w.book.busy || w.now().torrents != before, w.book.backlog)) {
			return nil
		}
	}
}

func troubleOf(err error) Trouble {
	if err == nil {
		return ""
	}
	return problemOf(err).Trouble
}

func (w *Watcher) tell(err error) {
	if err == nil {
		s := w.now()
		w.log.Info("the client answers", zap.String("kind", string(s.settings.Kind)), zap.String("version", s.settings.Version),
			zap.Int("info_hashes", len(s.torrents.InfoHashes())))
		return
	}
	p := problemOf(err)
	w.log.Warn("the client cannot be asked: what is known of its torrents stays as it is", zap.String("why", p.Error()), zap.String("remedy", p.Remedy))
}

// wait returns false when ctx ends. Somebody in a hurry shortens a pause, but not one after a failure.
func (w *Watcher) wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	hurry := w.hurry
	if w.now().problem != nil {
		hurry = nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-hurry:
	}
	timer.Reset(min(pause, leastPause))
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// pace says how long to wait before the next question.
type pace struct {
	moved    time.Time // when something was last seen to happen
	failures int
	locked   int // failures by a wrong password
}

func (p *pace) next(now time.Time, err error, moving, more bool) time.Duration {
	switch troubleOf(err) {
	case "":
	case Refused, Banned:
		p.locked++
		return doubled(lockedBackOff, p.locked, mostLocked)
	default:
		p.failures++
		return doubled(firstBackOff, p.failures, mostBackOff)
	}
	p.failures, p.locked = 0, 0
	if moving {
		p.moved = now
	}
	switch {
	case more:
		return morePause
	case now.Sub(p.moved) < lately:
		return busyPause
	}
	return idlePause
}

// doubled is first, doubled with each time after the first, up to most.
func doubled(first time.Duration, times int, most time.Duration) time.Duration {
	for ; times > 1 && first < most; times-- {
		first *= 2
	}
	return min(first, most)
}
