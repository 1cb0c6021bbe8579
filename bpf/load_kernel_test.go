package bpf

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// redirect sends everything to the queue's socket, or to the kernel where there is none.
func TestRedirect(t *testing.T) {
	b := newBench(t)
	for _, frags := range []bool{false, true} {
		r, err := LoadRedirect(benchQueues, frags)
		if err != nil {
			t.Fatalf("%+v", err)
		}
		addSocket(t, r.Sockets(), 0)
		frames := append(goodFrames(t), hostileFrames(t)...)
		if frags {
			frames = append(frames, steerCase{name: "jumbo", frame: rawFrame(t, 9000)})
		}
		for _, c := range frames {
			if v := b.run(t, r.Program(), 0, c.frame); v != VerdictRedirect {
				t.Errorf("%s: verdict %d with a socket", c.name, v)
			}
			if v := b.run(t, r.Program(), 1, c.frame); v != VerdictPass {
				t.Errorf("%s: verdict %d without a socket", c.name, v)
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLoadRefusesQueues(t *testing.T) {
	for _, queues := range []int{-1, 0, MaxQueues + 1} {
		var loadErr *LoadError
		if _, err := LoadSteer(SteerOptions{Queues: queues}); !errors.As(err, &loadErr) {
			t.Errorf("steer with %d queues: %v", queues, err)
		}
		if _, err := LoadRedirect(queues, false); !errors.As(err, &loadErr) {
			t.Errorf("redirect with %d queues: %v", queues, err)
		}
	}
}

// Without capabilities the error says which ones are missing.
func TestLoadWithoutCapabilities(t *testing.T) {
	newBench(t) // a thread that ends with the test
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		t.Fatalf("drop capabilities: %v", err)
	}
	for _, load := range []struct {
		name, capability string
		run              func() error
	}{
		{"steer", "CAP_BPF", func() error {
			_, err := LoadSteer(SteerOptions{Queues: 1})
			return err
		}},
		{"redirect", "CAP_NET_ADMIN", func() error {
			_, err := LoadRedirect(1, false)
			return err
		}},
	} {
		err := load.run()
		var loadErr *LoadError
		if !errors.As(err, &loadErr) || loadErr.Program != load.name {
			t.Errorf("%s: %v", load.name, err)
			continue
		}
		if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), load.capability) {
			t.Errorf("%s: the error does not ask for %s: %v", load.name, load.capability, err)
		}
	}
}
