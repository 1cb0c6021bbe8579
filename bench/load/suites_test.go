package load

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
)

// scripted is a driver that has measured already.
type scripted struct {
	plans   []Plan
	results []Result
	err     error
}

func (s *scripted) run(_ context.Context, p Plan) (Result, error) {
	s.plans = append(s.plans, p)
	if s.err != nil {
		return Result{}, s.err
	}
	r := s.results[0]
	s.results = s.results[1:]
	return r, nil
}

// remote joins a remoteDriver to serve, over pipes as between processes.
func remote(t *testing.T, d driver) *remoteDriver {
	t.Helper()
	plansOut, plansIn := io.Pipe()
	resultsOut, resultsIn := io.Pipe()
	served := make(chan error, 1)
	go func() { served <- serve(plansOut, resultsIn, d) }()
	t.Cleanup(func() {
		plansIn.Close()
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	c := &child{name: "remote", in: plansIn, out: resultsOut, ended: make(chan struct{})}
	return newRemoteDriver(c)
}

func TestRemoteDriverCarriesPlansAndResults(t *testing.T) {
	want := Result{
		Samples: []uint32{1, 1 << 31, 7}, Replies: 3, Elapsed: core.Second,
		Faults: report.Faults{Lost: 1, Late: 2, Duplicate: 3, Corrupt: 4},
	}
	far := &scripted{results: []Result{want, {}}}
	d := remote(t, far)
	p := Plan{Loop: report.Open, Rate: 10, Bytes: 64, Warmup: 1, Measure: 2}
	got, err := d.run(t.Context(), p)
	if err != nil || !slices.Equal(got.Samples, want.Samples) || got.Replies != want.Replies ||
		got.Elapsed != want.Elapsed || got.Faults != want.Faults {
		t.Errorf("result %+v (%v), want %+v", got, err, want)
	}
	// A second result must not show anything of the first.
	got, err = d.run(t.Context(), p)
	if err != nil || len(got.Samples) > 0 || got.Replies > 0 || got.Faults.Any() {
		t.Errorf("empty result reads %+v (%v)", got, err)
	}
	if len(far.plans) != 2 || far.plans[0] != p {
		t.Errorf("plans %+v, want %+v twice", far.plans, p)
	}
}

func TestRemoteDriverReportsErrors(t *testing.T) {
	d := remote(t, &scripted{err: errors.New("no interface")})
	if _, err := d.run(t.Context(), Plan{}); err == nil || !bytes.Contains([]byte(err.Error()),
		[]byte("no interface")) {
		t.Errorf("error %v, want the remote one", err)
	}
}

func TestRemoteDriverEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := remote(t, &scripted{results: []Result{{}}})
	if _, err := d.run(ctx, Plan{}); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want none or that of the context", err)
	}
}

// Every row that a suite wants is some family's, and each ratio's rows come first with that name.
func TestSuitesAreConsistent(t *testing.T) {
	for _, s := range []suite{latencySuite(1000), throughputSuite(64)} {
		for _, w := range s.rows {
			if !slices.ContainsFunc(families(), func(f family) bool { return f.has(w) }) {
				t.Errorf("%s: nobody brings up %s", s.name, w.key.Name)
			}
		}
		if first := s.rows[0].key; first.Bytes != smallFrame || first.Loop == report.Open {
			t.Errorf("%s: the first row is %+v", s.name, first)
		}
		for _, c := range s.comparisons {
			for _, name := range []string{c.numerator, c.denominator} {
				i := slices.IndexFunc(s.rows, func(w wanted) bool { return w.key.Name == name })
				if i < 0 || s.rows[i].key.Loop == report.Open || s.rows[i].key.Bytes == largeFrame {
					t.Errorf("%s: ratio %s:%s compares row %d", s.name, c.numerator, c.denominator, i)
				}
			}
		}
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	good := Options{Self: []string{"x"}, Rounds: 1, Measure: core.Second}
	for name, change := range map[string]func(*Options){
		"no rounds":  func(o *Options) { o.Rounds = 0 },
		"no time":    func(o *Options) { o.Measure = 0 },
		"no command": func(o *Options) { o.Self = nil },
	} {
		o := good
		change(&o)
		if _, err := Latency(t.Context(), o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
