package load

import (
	"strings"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// Every row of calls that needs nothing but this package, once; and the ratios of those there are.
func TestCallsAreAnswered(t *testing.T) {
	needMachine(t)
	o := kernelOptions("^(floor/raw|aead|rpc|tcp|goodput)")
	// Long enough that a machine busy with other tests runs everybody in it.
	o.Rounds, o.Measure = 1, 50*core.Millisecond
	s, err := RPC(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	left(t)
	r := s.Report
	if len(r.Rows) != 19 {
		t.Errorf("%d rows", len(r.Rows))
	}
	for _, row := range r.Rows {
		// Where frames are lost and others have the CPU, so short a time may see no write end.
		slow := row.P50 <= 0 && !strings.HasPrefix(row.Name, "goodput/")
		if row.Count == 0 || slow || row.Corrupt > 0 || row.Duplicate > 0 {
			t.Errorf("row %s: %d replies, p50 %v, faults %+v", row.Name, row.Count, row.P50,
				row.Faults)
		}
	}
	ratios := 0
	for _, ratio := range r.Ratios {
		if !strings.HasPrefix(ratio.Name, "goodput/") {
			ratios++
		}
	}
	if ratios != 4 {
		t.Errorf("%d ratios: %+v", ratios, r.Ratios)
	}
}

// TestPeersAreLeftOutVisibly: where the others' module cannot be built, the report says so.
func TestPeersAreLeftOutVisibly(t *testing.T) {
	needMachine(t)
	o := kernelOptions("^(aead/64|grpc)") // the test runs in a folder that has no bench/peers
	o.Rounds = 1
	s, err := RPC(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r := s.Report; len(r.Rows) != 1 || len(r.Notes) != 1 || r.Complete {
		t.Errorf("%d rows, notes %q, complete %v", len(r.Rows), r.Notes, r.Complete)
	}
}
