package control

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// messages has one of each type, with a value in every field.
func messages() []message {
	endpoints := []Endpoint{
		{EtherType: 0x88B5},
		{UDP: 7777},
		{UDP: 7778, Address: netip.MustParseAddr("10.0.0.1")},
	}
	inter := Interface{
		Name: "veth0", Index: 3, MAC: MAC{2, 0, 0, 0, 0, 1}, MTU: 1500,
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24"), netip.MustParsePrefix("fd00::1/64")},
	}
	workers := []WorkerGrant{{Worker: 0, CPU: 1, Core: -1, Queue: -1}, {Worker: 1, CPU: 2, Core: 3, Queue: 5}}
	return []message{
		&Hello{Runtime: "echo", Mode: Direct, Endpoints: endpoints, Cores: 3},
		&Grant{
			Runtime: "echo", Mode: Direct, Interface: inter, Workers: workers, Endpoints: endpoints,
			Layout:          Layout{Workers: 2, RingEntries: 1024, ChunkBytes: 4096, Chunks: 4096, Bytes: 1 << 24},
			VerifyChecksums: true, Spin: 50_000,
			Direct: &DirectGrant{
				FillEntries: 1, CompletionEntries: 2, RxEntries: 3, TxEntries: 4,
				HeadroomBytes: 5, ZeroCopy: true, NeedWakeup: true, MultiBuffer: true,
			},
			Loan: &LoanGrant{Class: "lc", Owner: 1, Cores: []int{1, 2}, Reserved: 1, Most: 2},
			FDs:  []string{FileMemory, FileDoorbell, FileWorker(0), FileSocket(0)},
		},
		&Certify{Key: []byte{1, 2}},
		&Certified{Certificate: []byte{3, 4}, ClusterBytes: 5},
		&Refusal{Code: CodeDenied, Message: "no", Final: true},
		&Neigh{Addr: netip.MustParseAddr("fd00::2")},
		&NeighReply{Addr: netip.MustParseAddr("fd00::2"), MAC: MAC{1, 2, 3, 4, 5, 6}, Found: true},
		&StatusRequest{},
		&Status{
			Build: "v1", Interface: inter, XDP: "native", Queues: []int{0, 1}, CPU: 2, Uptime: 5,
			Counters: map[string]uint64{"a": 1 << 60},
			Runtimes: []RuntimeStatus{{
				Name: "echo", Mode: Mediated, PID: 7, UID: 65534,
				Workers: workers, Counters: map[string]uint64{"b": 2},
			}},
		},
		&Evicted{Reason: "why"},
		&Threads{IDs: []int{7, 8}},
		&Done{},
		&CoresRequest{Decisions: 3},
		&Cores{
			Policy: "caladan", Interval: 5000, Passes: 1, Uptime: 2,
			Cores: []Core{{
				Core: 1, CPU: 2, State: "idle", Owner: "echo", Held: 3, Reason: "frames wait", Grants: 4,
				Times: []OwnerTime{{"echo", 5}, {"", 6}},
			}},
			Runtimes: []CoreUser{{
				Runtime: "echo", Class: "lc", Attached: true, Guest: true, Reserved: 1, Most: 2,
				Held: 3, Waiting: 4, DelayP50: 5, DelayP99: 6, Time: 7, Busy: 8, Served: 9,
				Grants: 10, Revocations: 11, Demotions: 12, Stuck: 13, Nonsense: 14, Hold: 15,
			}},
			Decisions: []Decision{{
				Age: 1, Core: 2, From: "a", To: "b", Action: "grant", Reason: "r", Input: "i",
				Waiting: 3, Delay: 4,
			}},
			Latencies: CoreLatency{Detection: 1, HandOver: 2, HandOver9: 3},
			Wakes:     WakeAccount{Wakes: 1, Signals: 2, Spent: 3, Longest: 4},
			Sensors:   []CoreSensor{{Name: "n", Available: true, Why: "w"}},
		},
	}
}

func TestMessagesRoundTrip(t *testing.T) {
	for _, m := range messages() {
		text, err := encode(m)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decode(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if d := cmp.Diff(m, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); d != "" {
			t.Errorf("%s (-sent +received):\n%s", text, d)
		}
	}
}

// badMessages are packets that are no message, and the code with which they are refused.
func badMessages() map[string]Code {
	long := `{"version":1,"type":"hello","body":{"runtime":"` + strings.Repeat("x", MaxMessageBytes) + `"}}`
	return map[string]Code{
		" ":                           CodeMalformed,
		"\x00":                        CodeMalformed,
		"GET / HTTP/1.1\r\n\r\n":      CodeMalformed,
		`null`:                        CodeMalformed,
		`[]`:                          CodeMalformed,
		`{}`:                          CodeMalformed,
		`{"version":1}`:               CodeMalformed,
		`{"version":"1"}`:             CodeMalformed,
		`{"version":1,"type":"hello"`: CodeMalformed,
		`{"version":1,"type":"hello","body":{"runtime":"ec`:                    CodeMalformed,
		`{"version":1,"type":"hello","body":null}`:                             CodeMalformed,
		`{"version":1,"type":"hello","body":[]}`:                               CodeMalformed,
		`{"version":1,"type":"hello","body":{"runtime":7}}`:                    CodeMalformed,
		`{"version":1,"type":"hello","body":{"workers":7}}`:                    CodeMalformed,
		`{"version":1,"type":"hello","body":{},"more":1}`:                      CodeMalformed,
		`{"version":1,"type":"hello","body":{}}{}`:                             CodeMalformed,
		`{"version":1,"type":"hello","body":{"runtime":"echo","mode":"fast"}}`: CodeMalformed,
		`{"version":1,"type":"nosuch","body":{}}`:                              CodeMalformed,
		`{"version":1,"type":"grant","body":{}}`:                               CodeMalformed,
		`{"version":1,"type":"evicted","body":{"reason":"me"}}`:                CodeMalformed,
		`{"version":1,"type":"neigh","body":{"addr":"nowhere"}}`:               CodeMalformed,
		`{"version":1,"type":"neigh","body":{"addr":"10.0.0.1"}}`:              CodeOrder,
		`{"version":2,"type":"hello","body":{"future":1}}`:                     CodeVersion,
		`{"version":0,"type":"hello","body":{}}`:                               CodeVersion,
		long:                                                                   CodeOversize,
		strings.Repeat(" ", MaxMessageBytes+1):                                 CodeOversize,
		strings.Repeat("[", MaxMessageBytes):                                   CodeMalformed,
	}
}

func TestDecodeRefuses(t *testing.T) {
	for text, code := range badMessages() {
		if code != CodeMalformed && code != CodeVersion {
			continue // refused by those who know more than the text
		}
		_, err := decode([]byte(text))
		var refusal *Refusal
		switch {
		case strings.Contains(text, `"mode"`), strings.Contains(text, `"grant"`),
			strings.Contains(text, `"evicted"`): // a message, but not for a server
			if err != nil {
				t.Errorf("%.80q: %v", text, err)
			}
		case !errors.As(err, &refusal) || refusal.Code != code:
			t.Errorf("%.80q: %v, want code %s", text, err, code)
		case len(refusal.Message) > 200:
			t.Errorf("%.80q: a message of %d bytes", text, len(refusal.Message))
		}
	}
}

func TestEncodeOversize(t *testing.T) {
	if _, err := encode(&Evicted{Reason: strings.Repeat("x", MaxMessageBytes)}); err == nil ||
		!strings.Contains(err.Error(), "131072") {
		t.Errorf("a message that nobody would receive: %v", err)
	}
}

func TestMAC(t *testing.T) {
	for text, want := range map[string]bool{
		"02:00:00:00:00:01": true, "ff:ff:ff:ff:ff:ff": true, "": false, "02:00:00:00:00": false,
		"02:00:00:00:00:01:02": false, "02-00-00-00-00-01": false, "2:0:0:0:0:1": false,
		"02:00:00:00:00:01 ": false, "02:00:00:00:00:0g": false, "02:00:00:00:00:0A": false,
	} {
		var m MAC
		err := m.UnmarshalText([]byte(text))
		if (err == nil) != want || want && m.String() != text {
			t.Errorf("%q: %v %v, want valid: %v", text, m, err, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range messages() {
		text, err := encode(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for text := range badMessages() {
		if len(text) < 1000 {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := decode(text)
		if err != nil {
			if refusal := refusalOf(err); refusal.Code != CodeMalformed && refusal.Code != CodeVersion {
				t.Errorf("refused with %v", err)
			}
			return
		}
		again, err := encode(m)
		if err != nil {
			if len(text) < MaxMessageBytes/8 { // escapes make some texts longer, up to 6 times
				t.Fatal(err)
			}
			return
		}
		twice, err := decode(again)
		if err != nil {
			t.Fatalf("%s became %s: %v", text, again, err)
		}
		last, err := encode(twice)
		if err != nil || !bytes.Equal(again, last) {
			t.Errorf("%s became %s, then %s (%v)", text, again, last, err)
		}
	})
}
