package metrics

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/dunlin-io/dunlin/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// full has a value in every field, no two the same.
func full() Snapshot {
	return Snapshot{
		Interface: Interface{Name: "veth0", XDPMode: "native", Up: true},
		Loop: Loop{
			CPU: 3, Busy: 1500 * core.Millisecond, Idle: 2 * core.Second, Turns: 1001,
			Parks: 12,
		},
		Steer: []Count{{"taken_ethertype", 21}, {"passed_other_host", 22}},
		Queues: []Queue{{
			Queue:   0,
			Traffic: Traffic{RxPackets: 31, RxBytes: 32, TxPackets: 33, TxBytes: 34},
			Drops:   []Count{{"malformed", 35}},
			Stalls:  []Count{{"tx_full", 36}},
			XDP:     []Count{{"rx_dropped", 37}, {"rx_ring_full", 38}},
		}},
		Runtimes: []Runtime{{
			Name:      "echo",
			Mode:      "mediated",
			Traffic:   Traffic{RxPackets: 41, RxBytes: 42, TxPackets: 43, TxBytes: 44},
			Switched:  45,
			Wakes:     46,
			Drops:     []Count{{"no_fill", 47}, {"foreign_mac", 48}},
			Evictions: []Count{{"index", 49}},
			Workers: []Worker{{
				Worker: 1, CPU: 2, Wakes: 55,
				Traffic: Traffic{RxPackets: 51, RxBytes: 52, TxPackets: 53, TxBytes: 54},
			}},
		}, {Name: "idle"}},
		Control: Control{
			Connections: 61, Attached: 62, Detached: 63,
			Refusals: []Count{{"denied", 64}},
		},
		Cores: fullCores(),
	}
}

// fullCores has buckets finer than what is exported, as the iokernel's are.
func fullCores() CoreSnapshot {
	bounds := []core.Time{
		1024, 1536, 2048, 3072, 4096, 6144, core.Never,
	}
	return CoreSnapshot{
		Policy: "caladan", Passes: 71,
		Decisions: []Count{{"frames_wait", 72}, {Label("lent, not needed"), 73}},
		Detection: Histogram{bounds, []uint64{1, 2, 3, 4, 5, 6, 7}, 74 * core.Microsecond},
		HandOver:  Histogram{bounds, []uint64{0, 0, 75, 0, 0, 1, 0}, 76 * core.Microsecond},
		Wakes:     77, Signals: 78, Waking: 79 * core.Millisecond,
		Cores: []LentCore{{
			Core: 0, CPU: 1,
			Times: []OwnerTime{{"", 80 * core.Second}, {"echo", 81 * core.Second}},
		}},
		Runtimes: []CoreUser{{
			Runtime: "echo", Held: 82, Waiting: 83, Busy: 84 * core.Second, Grants: 85,
			Revocations: 86, Demotions: 87, Stuck: 88, Nonsense: 89,
			Delays: Histogram{bounds, []uint64{90, 0, 0, 0, 0, 0, 0}, 91 * core.Microsecond},
		}},
	}
}

// TestNothingLent: an iokernel that lends no cores says nothing of them.
func TestNothingLent(t *testing.T) {
	s := full()
	s.Cores = CoreSnapshot{}
	of := func(name string) int { return testutil.CollectAndCount(collectorOf(s), name) }
	if n := of("dunlin_core_passes_total") + of("dunlin_core_hand_over_seconds"); n > 0 {
		t.Errorf("%d metrics of cores", n)
	}
}

func TestLabel(t *testing.T) {
	for text, want := range map[string]string{
		"reserved": "reserved", "lent, not needed": "lent_not_needed",
		"Slow request on the 2nd sibling": "slow_request_on_the_2nd_sibling", "?": "",
	} {
		if got := Label(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func collectorOf(s Snapshot) *collector {
	return newCollector(Build{Version: "v1", Revision: "abc"},
		func() (Snapshot, error) { return s, nil })
}

// TestNames holds names, labels and values; the file is what users build dashboards on.
func TestNames(t *testing.T) {
	want, err := os.ReadFile("testdata/full.prom")
	if err != nil {
		t.Fatal(err)
	}
	// The Go version is the one thing that the test's inputs do not decide.
	if err := testutil.CollectAndCompare(withoutBuild{collectorOf(full())}, bytes.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// withoutBuild leaves out dunlin_build_info.
type withoutBuild struct{ *collector }

func (w withoutBuild) Collect(out chan<- prometheus.Metric) {
	all := make(chan prometheus.Metric)
	go func() {
		w.collector.Collect(all)
		close(all)
	}()
	for m := range all {
		if m.Desc() != w.buildInfo.desc {
			out <- m
		}
	}
}

func TestConventions(t *testing.T) {
	problems, err := testutil.CollectAndLint(collectorOf(full()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestDescribed: every metric that can be collected is described, and the other way round.
func TestDescribed(t *testing.T) {
	c := collectorOf(full())
	described := make(chan *prometheus.Desc)
	go func() {
		c.Describe(described)
		close(described)
	}()
	got := map[string]bool{}
	for d := range described {
		got[d.String()] = true
	}
	want := map[string]bool{}
	collected := make(chan prometheus.Metric)
	go func() {
		c.Collect(collected)
		close(collected)
	}()
	for m := range collected {
		want[m.Desc().String()] = true
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("described, against collected (-collected +described):\n%s", d)
	}
}

// serve runs a server at a port that the kernel chooses, and returns its address.
func serve(t *testing.T, o Options) string {
	t.Helper()
	o.Listen = "127.0.0.1:0"
	if o.Alive == nil {
		o.Alive = func() error { return nil }
	}
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	if o.Snapshot == nil {
		o.Snapshot = func() (Snapshot, error) { return full(), nil }
	}
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return "http://" + s.Addr().String()
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

func TestServer(t *testing.T) {
	url := serve(t, Options{Build: Build{Version: "v1.2"}})
	status, body := get(t, url+"/metrics")
	if status != http.StatusOK {
		t.Errorf("/metrics: status %d: %s", status, body)
	}
	for _, want := range []string{
		`dunlin_build_info{goversion="go`,
		`version="v1.2"`,
		`dunlin_runtime_dropped_packets_total{reason="foreign_mac",runtime="echo"} 48`,
		"go_goroutines",
		"process_open_fds",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("/metrics lacks %q", want)
		}
	}
	for path, want := range map[string]int{
		"/livez":        http.StatusOK,
		"/readyz":       http.StatusOK,
		"/":             http.StatusNotFound,
		"/debug/pprof/": http.StatusNotFound, // not asked for
	} {
		if status, _ := get(t, url+path); status != want {
			t.Errorf("%s: status %d, want %d", path, status, want)
		}
	}
}

func TestSnapshotFails(t *testing.T) {
	url := serve(t, Options{Snapshot: func() (Snapshot, error) {
		return Snapshot{}, errors.New("the loop does not answer")
	}})
	status, body := get(t, url+"/metrics")
	if status != http.StatusInternalServerError || !strings.Contains(body, "the loop does not answer") {
		t.Errorf("/metrics: status %d: %s", status, body)
	}
}

func TestHealth(t *testing.T) {
	url := serve(t, Options{Ready: func() error { return errors.New("interface veth0 is down") }})
	if status, body := get(t, url+"/readyz"); status != http.StatusServiceUnavailable ||
		body != "interface veth0 is down\n" {
		t.Errorf("/readyz: status %d: %q", status, body)
	}
	if status, body := get(t, url+"/livez"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("/livez: status %d: %q", status, body)
	}
}

func TestPprof(t *testing.T) {
	url := serve(t, Options{Pprof: true})
	if status, body := get(t, url+"/debug/pprof/goroutine?debug=1"); status != http.StatusOK ||
		!strings.Contains(body, "goroutine profile:") {
		t.Errorf("goroutine profile: status %d: %.100s", status, body)
	}
}

func TestAddressInUse(t *testing.T) {
	url := serve(t, Options{})
	_, err := Listen(Options{Listen: strings.TrimPrefix(url, "http://")})
	if err == nil || !strings.Contains(err.Error(), "metrics.listen") {
		t.Errorf("second server on one address: %v", err)
	}
}

// TestNotUTF8: a label from outside cannot break the scrape silently.
func TestNotUTF8(t *testing.T) {
	s := full()
	s.Interface.Name = "\xff"
	url := serve(t, Options{Snapshot: func() (Snapshot, error) { return s, nil }})
	if status, body := get(t, url+"/metrics"); status != http.StatusInternalServerError {
		t.Errorf("/metrics: status %d: %.100s", status, body)
	}
}
