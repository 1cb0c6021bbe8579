package sensor

import (
	"errors"
	"os"
	"testing"

	"github.com/dunlin-io/dunlin/core"
)

// TestThisMachine: whatever it is, each sensor works or says why not.
func TestThisMachine(t *testing.T) {
	cpus, err := Online(os.DirFS(CPURoot))
	if err != nil || len(cpus) == 0 {
		t.Fatalf("online: %v, %v", cpus, err)
	}
	topology, err := ReadTopology(os.DirFS(CPURoot), cpus)
	if err != nil {
		t.Error(err)
	}
	for _, cpu := range cpus {
		if sibling, ok := topology.Sibling(cpu); ok && sibling == cpu {
			t.Errorf("CPU %d is its own sibling", cpu)
		}
	}
	explained := func(err error) {
		t.Helper()
		var u *Unavailable
		if !errors.As(err, &u) || u.Why == "" {
			t.Errorf("not available, without a reason: %v", err)
		}
		t.Log(err)
	}
	if memory, err := OpenResctrl(os.DirFS(ResctrlRoot)); err != nil {
		explained(err)
	} else if _, err := memory.BytesPerSecond(core.Second); !errors.Is(err, ErrNoRate) &&
		!errors.Is(err, ErrNotNow) {
		t.Errorf("resctrl: %v", err)
	}
	misses, err := OpenPerf(OpenCounter, cpus)
	if err != nil {
		explained(err)
		return
	}
	defer misses.Close()
	for _, cpu := range cpus {
		if _, err := misses.PerSecond(core.Second, cpu); !errors.Is(err, ErrNoRate) {
			explained(err)
		}
	}
}
