package main

import (
	"encoding/json"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	labwire "github.com/dunlin-io/dunlin/bench/lab/wire"
)

// TestLabWire puts the command between two pairs, sends frames into one, and expects as many from
// the other as the command says that it has delivered.
func TestLabWire(t *testing.T) {
	l := newLab(t)
	second, err := l.AddPair(lab.PairOptions{Names: [2]string{"dm0", "dm1"}, Subnet: 78})
	if err != nil {
		t.Fatal(err)
	}
	near, far := openTap(t, l, "dl0"), openTap(t, l, "dm0")
	h := &host{lab: l}
	h.refused(t, 0, 5, "nowhere", "dunlin", "lab", "wire", "dl1", "nowhere")
	h.refused(t, nobody, 3, "packet socket", "dunlin", "lab", "wire", "dl1", "dm1")
	p := h.start(t, 0, "dunlin", "lab", "wire", "dl1", "dm1", "--seed", "3", "--loss", "0.5", "-o",
		"json")
	p.await(t, 0, "carrying frames between dl1 and dm1")

	const frames = 200
	frame := make([]byte, 100)
	copy(frame, second.Ends[lab.A].MAC[:])
	frame[12], frame[13] = 0x88, 0xb5 // for local experiments: nobody else sends it
	for range frames {
		if err := near.Send(frame); err != nil {
			t.Fatal(err)
		}
	}
	arrived := 0
	b := make([]byte, len(frame))
	wait(t, "a third of the frames", func() bool {
		for {
			n, err := far.Recv(b)
			if err != nil {
				return arrived > frames/3
			}
			if n == len(frame) && b[12] == 0x88 {
				arrived++
			}
		}
	})
	p.signal(unix.SIGINT)
	p.wait(t, 0)
	line, _ := p.await(t, 0, "Delivered")
	var said labwire.Counters
	if err := json.Unmarshal([]byte(line), &said); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	if arrived >= frames || int(said.Delivered) < arrived || said.Sent < frames || said.Missed != 0 {
		t.Errorf("%d frames arrived, and the command says %+v", arrived, said)
	}
}

func openTap(t *testing.T, l *lab.Lab, name string) *labwire.Tap {
	t.Helper()
	var tap *labwire.Tap
	err := l.In(lab.A, func() (err error) {
		tap, err = labwire.Open(name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tap.Close() })
	return tap
}
