package dataplane_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
)

// TestLayoutPartsAreDisjoint fills every ring of every worker and the frame memory with values of
// their own, and finds them all again at the other end.
func TestLayoutPartsAreDisjoint(t *testing.T) {
	l, err := dataplane.NewLayout(dataplane.LayoutConfig{
		Workers: 3, RingEntries: 128,
		ChunkBytes: 2048, Chunks: 128,
	})
	if err != nil {
		t.Fatal(err)
	}
	mem := make([]byte, l.Bytes)
	l.PutHeader(mem)
	frames := l.FrameMemory(mem)
	if len(frames) != 128*2048 || cap(frames) != len(frames) {
		t.Fatalf("%d bytes of frame memory", len(frames))
	}
	for i := range frames {
		frames[i] = 0xA5
	}
	near, far := make([]dataplane.Rings, 3), make([]dataplane.FarRings, 3)
	value := func(worker, ring int, i uint32) uint64 { return uint64(worker*4+ring)<<32 | uint64(i) }
	for w := range near {
		if near[w], err = l.Rings(mem, w); err != nil {
			t.Fatal(err)
		}
		if far[w], err = l.FarRings(mem, w); err != nil {
			t.Fatal(err)
		}
		for i := range uint32(128) {
			near[w].Fill.Set(i, value(w, 0, i))
			far[w].Completion.Set(i, value(w, 1, i))
			far[w].Rx.Set(i, ring.Desc{Addr: value(w, 2, i), Len: i, Options: uint32(w)})
			near[w].Tx.Set(i, ring.Desc{Addr: value(w, 3, i), Len: i, Options: uint32(w)})
		}
		near[w].Fill.Submit(128)
		far[w].Completion.Submit(128)
		far[w].Rx.Submit(128)
		near[w].Tx.Submit(128)
		near[w].Rx.SetNeedWakeup(true)
		far[w].Fill.SetNeedWakeup(true)
	}
	for w := range near {
		for i := range uint32(128) {
			if far[w].Fill.At(i) != value(w, 0, i) || near[w].Completion.At(i) != value(w, 1, i) ||
				near[w].Rx.At(i) != (ring.Desc{Addr: value(w, 2, i), Len: i, Options: uint32(w)}) ||
				far[w].Tx.At(i) != (ring.Desc{Addr: value(w, 3, i), Len: i, Options: uint32(w)}) {
				t.Fatalf("worker %d, entry %d is another ring's", w, i)
			}
		}
		if far[w].Fill.Waiting() != 128 || near[w].Completion.Waiting() != 128 ||
			near[w].Rx.Waiting() != 128 || far[w].Tx.Waiting() != 128 {
			t.Errorf("worker %d: an index was overwritten", w)
		}
		if !far[w].Rx.NeedWakeup() || !near[w].Fill.NeedWakeup() || near[w].Tx.NeedWakeup() ||
			far[w].Completion.NeedWakeup() {
			t.Errorf("worker %d: a flag was overwritten", w)
		}
	}
	if !bytes.Equal(frames, bytes.Repeat([]byte{0xA5}, len(frames))) {
		t.Error("a ring lies in the frame memory")
	}
	if got, err := dataplane.ReadLayout(mem); err != nil || got != l {
		t.Errorf("header reads %+v, %v", got, err)
	}
}

func TestLayoutRefuses(t *testing.T) {
	good := dataplane.LayoutConfig{Workers: 1, RingEntries: 64, ChunkBytes: 4096, Chunks: 128}
	for name, change := range map[string]func(*dataplane.LayoutConfig){
		"no workers":       func(c *dataplane.LayoutConfig) { c.Workers = 0 },
		"too many workers": func(c *dataplane.LayoutConfig) { c.Workers = dataplane.MaxWorkers + 1 },
		"negative workers": func(c *dataplane.LayoutConfig) { c.Workers = -1 },
		"small rings":      func(c *dataplane.LayoutConfig) { c.RingEntries = 32 },
		"odd rings":        func(c *dataplane.LayoutConfig) { c.RingEntries = 96 },
		"huge rings":       func(c *dataplane.LayoutConfig) { c.RingEntries = 1 << 31 },
		"odd chunks":       func(c *dataplane.LayoutConfig) { c.ChunkBytes = 3000 },
		"no bytes":         func(c *dataplane.LayoutConfig) { c.ChunkBytes = 0 },
		"few chunks":       func(c *dataplane.LayoutConfig) { c.Chunks = 127 },
		"too many chunks":  func(c *dataplane.LayoutConfig) { c.Chunks = dataplane.MaxChunks + 1 },
		"half a page":      func(c *dataplane.LayoutConfig) { c.ChunkBytes, c.Chunks = 2048, 129 },
	} {
		c := good
		change(&c)
		if l, err := dataplane.NewLayout(c); err == nil {
			t.Errorf("%s: %+v", name, l)
		}
	}
	l, err := dataplane.NewLayout(good)
	if err != nil {
		t.Fatal(err)
	}
	mem := make([]byte, l.Bytes)
	for _, worker := range []int{-1, 1, 1 << 40} {
		if _, err := l.Rings(mem, worker); err == nil {
			t.Errorf("rings of worker %d of 1", worker)
		}
		if _, err := l.FarRings(mem, worker); err == nil {
			t.Errorf("far rings of worker %d of 1", worker)
		}
	}
}

// FuzzReadLayout reads any header over any size of memory. What is accepted lies inside that memory.
func FuzzReadLayout(f *testing.F) {
	l, err := dataplane.NewLayout(small)
	if err != nil {
		f.Fatal(err)
	}
	header := make([]byte, 4096)
	l.PutHeader(header)
	f.Add(header[:24], uint32(l.Bytes))
	f.Add(header[:24], uint32(l.Bytes-1))
	f.Add(header[:8], uint32(4096))
	for at := 8; at < 24; at += 4 {
		for _, v := range []uint32{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1} {
			h := bytes.Clone(header[:24])
			binary.NativeEndian.PutUint32(h[at:], v)
			f.Add(h, uint32(l.Bytes))
		}
	}
	f.Fuzz(func(t *testing.T, header []byte, size uint32) {
		mem := make([]byte, min(size, 1<<22))
		copy(mem, header)
		l, err := dataplane.ReadLayout(mem)
		if err != nil {
			return
		}
		if l.Bytes > uint64(len(mem)) || len(l.FrameMemory(mem)) != l.Chunks*l.ChunkBytes {
			t.Fatalf("%+v in %d bytes", l, len(mem))
		}
		again, err := dataplane.NewLayout(l.LayoutConfig)
		if err != nil || again != l {
			t.Fatalf("%+v, from its numbers %+v, %v", l, again, err)
		}
		for w := range l.Workers {
			if _, err := l.Rings(mem, w); err != nil {
				t.Fatal(err)
			}
			if _, err := l.FarRings(mem, w); err != nil {
				t.Fatal(err)
			}
		}
	})
}
