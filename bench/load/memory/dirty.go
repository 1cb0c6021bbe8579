package memory

import (
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/dirty"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/proclet/arena"
)

// A tracked arena: 10 MiB, the first of a window of its own.
const (
	trackedPages = 2560
	trackedBytes = trackedPages * onePage
	trackedOff   = 0
)

// tracked is a range whose changes somebody tells: the kernel, or software.
type tracked struct {
	b       *bench
	tracker arena.Tracker
	changes []dirty.Change
	// what is done before each sample, and what is measured: so many of it
	prepare, measured step
	each              float64
}

// step is what rows do with a tracked range.
type step = func(*tracked) error

// openTracked is one of the rows of the kernel's tracking.
func openTracked(each float64, prepare, measured step) func(*bench) (runner, error) {
	return func(b *bench) (runner, error) {
		if err := b.makeTracked(); err != nil {
			return nil, err
		}
		if why := b.tracked.Software(); why != nil {
			return nil, &leftOut{"this kernel does not track changed pages, and a tracker in " +
				"software takes its place: " + why.Error()}
		}
		tracker, err := b.tracked.Tracker()
		return b.newTracked(tracker, each, prepare, measured), err
	}
}

// openSoftware is one of the rows of the tracker that takes the kernel's place.
func openSoftware(each float64, prepare, measured step) func(*bench) (runner, error) {
	return func(b *bench) (runner, error) {
		if err := b.makeTracked(); err != nil {
			return nil, err
		}
		tracker, err := arena.NewSoftware(b.tracked.Pages())
		return b.newTracked(tracker, each, prepare, measured), err
	}
}

// makeTracked makes the window of these rows.
func (b *bench) makeTracked() (err error) {
	if b.tracked != nil {
		return nil
	}
	if b.tracked, err = b.newWindow(trackedBytes, arena.StoreOptions{}); err != nil {
		return err
	}
	return b.tracked.Pages().Populate(trackedOff, trackedBytes)
}

func (b *bench) newTracked(t arena.Tracker, each float64, prepare, measured step) *tracked {
	return &tracked{
		b: b, tracker: t, changes: make([]dirty.Change, 0, trackedPages),
		prepare: prepare, measured: measured, each: each,
	}
}

func (t *tracked) run(warm, measure core.Time) (samples []uint32, err error) {
	t.b.threads[0].Do(func() {
		clock := pin.NewClock()
		if err = t.tracker.Track(trackedOff, trackedBytes); err != nil {
			return
		}
		now := clock.Now()
		begin, end := now+warm, now+warm+measure
		for (now < end || len(samples) == 0) && len(samples) < mostSamples {
			if err = t.prepare(t); err != nil {
				return
			}
			start := clock.Now()
			if err = t.measured(t); err != nil {
				return
			}
			now = clock.Now()
			if start >= begin {
				samples = append(samples, sample(now-start, t.each))
			}
		}
		err = t.tracker.Untrack(trackedOff, trackedBytes)
	})
	return samples, err
}

// scan takes what changed, and arms again.
func (t *tracked) scan() (err error) {
	t.changes, err = t.tracker.Scan(trackedOff, trackedBytes, t.changes[:0])
	return err
}

// write writes to every page.
func (t *tracked) write() error {
	bytes := t.b.tracked.Pages().Bytes()
	for page := range trackedPages {
		bytes[trackedOff+page*onePage]++
	}
	return nil
}

// tell is write for a tracker that must be told, as arenas do it: a view of each page, and the end
// of the handler.
func (t *tracked) tell() error {
	bytes := t.b.tracked.Pages().Bytes()
	for page := range int64(trackedPages) {
		t.tracker.Wrote(trackedOff+page*onePage, 8)
		bytes[trackedOff+page*onePage]++
	}
	t.tracker.Settle(trackedOff, trackedBytes)
	return nil
}

// dropUntracked gives all pages back, and then a write to each makes one: what the kernel takes for
// any fault.
func (t *tracked) dropUntracked() error {
	if err := t.disarm(); err != nil {
		return err
	}
	return t.b.tracked.Pages().Drop(trackedOff, trackedBytes)
}

// disarm and arm begin with the range anew: its first scan arms every page.
func (t *tracked) disarm() error { return t.tracker.Untrack(trackedOff, trackedBytes) }

func (t *tracked) arm() error {
	if err := t.tracker.Track(trackedOff, trackedBytes); err != nil {
		return err
	}
	return t.scan()
}
