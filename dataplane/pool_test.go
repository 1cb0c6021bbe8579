package dataplane_test

import (
	"testing"

	"github.com/dunlin-io/dunlin/dataplane"
	"pgregory.net/rapid"
)

func TestNewPoolRefuses(t *testing.T) {
	for _, c := range []struct {
		bytes, chunk, caches int
	}{
		{8192, 1024, 1},
		{8192, 8192, 1},
		{8192, 0, 1},
		{0, 2048, 1},
		{2047, 2048, 1},
		{2049, 2048, 1},
		{8192, 2048, 0},
		{8192, 2048, -1},
		{8192, 2048, dataplane.MaxWorkers + 1},
	} {
		_, err := dataplane.NewPool(make([]byte, c.bytes),
			dataplane.PoolConfig{ChunkBytes: c.chunk, Caches: c.caches})
		if err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

func TestPoolCachesAreLimited(t *testing.T) {
	p, err := dataplane.NewPool(make([]byte, 64*2048),
		dataplane.PoolConfig{ChunkBytes: 2048, Caches: 2})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if _, err := p.Cache(); (err == nil) != (i < 2) {
			t.Errorf("cache %d of 2: %v", i, err)
		}
	}
}

// Every chunk can be had, each once, and no byte belongs to two.
func TestPoolChunks(t *testing.T) {
	for _, size := range []int{2048, 4096} {
		c := newCacheOf(t, 100, size)
		p := c.Pool()
		var all []uint32
		for {
			index, ok := c.Alloc()
			if !ok {
				break
			}
			all = append(all, index)
		}
		if len(all) != 100 || p.Chunks() != 100 || p.ChunkBytes() != size {
			t.Fatalf("%d of %d chunks of %d", len(all), p.Chunks(), p.ChunkBytes())
		}
		for _, index := range all {
			b := p.Chunk(index)
			if len(b) != size || cap(b) != size {
				t.Fatalf("chunk %d has %d bytes, capacity %d", index, len(b), cap(b))
			}
			for i := range b {
				b[i] = byte(index)
			}
		}
		for _, index := range all {
			for i, got := range p.Chunk(index) {
				if got != byte(index) {
					t.Fatalf("chunk %d, byte %d was written as another's", index, i)
				}
			}
			c.Free(index)
		}
		c.Drain()
		if c.Count() != 0 || p.Stored() != 100 {
			t.Errorf("%d cached, %d stored", c.Count(), p.Stored())
		}
	}
}

// In a small pool the caches of idle threads cannot keep most chunks from the one that needs them.
func TestCachesDoNotHoard(t *testing.T) {
	const chunks, caches = 256, 4
	p, err := dataplane.NewPool(make([]byte, chunks*2048),
		dataplane.PoolConfig{ChunkBytes: 2048, Caches: caches})
	if err != nil {
		t.Fatal(err)
	}
	var all []uint32
	var last *dataplane.Cache
	for range caches { // each thread takes all it can, and gives it back to its own cache
		if last, err = p.Cache(); err != nil {
			t.Fatal(err)
		}
		all = all[:0]
		for {
			index, ok := last.Alloc()
			if !ok {
				break
			}
			all = append(all, index)
		}
		for _, index := range all {
			last.Free(index)
		}
	}
	if len(all) < chunks*3/4 {
		t.Errorf("the last of %d threads got %d of %d chunks", caches, len(all), chunks)
	}
}

// TestFrameAt compares the check of descriptors with its plain meaning: all bytes lie in one chunk.
func TestFrameAt(t *testing.T) {
	for _, size := range []uint64{2048, 4096} {
		p := newCacheOf(t, 10, int(size)).Pool()
		rapid.Check(t, func(t *rapid.T) {
			edge := rapid.Uint64Range(0, 11).Draw(t, "chunk") * size
			addr := rapid.OneOf(rapid.Uint64(), rapid.Just(edge), rapid.Just(edge-1),
				rapid.Uint64Range(edge, edge+size)).Draw(t, "addr")
			length := rapid.OneOf(rapid.Uint32(), rapid.Uint32Range(0, 4100)).Draw(t, "length")
			f, ok := p.FrameAt(addr, length)
			inside := addr < 10*size && uint64(length) <= size-addr%size
			if ok != inside {
				t.Fatalf("%d bytes at %#x: %v, want %v", length, addr, ok, inside)
			}
			if ok && (p.Addr(f) != addr || f.Bytes() != int(length) || f.More() ||
				len(p.Bytes(f)) != int(length)) {
				t.Fatalf("%d bytes at %#x: frame %+v", length, addr, f)
			}
		})
	}
}

func TestFreeBeyondThePoolPanics(t *testing.T) {
	c := newCacheOf(t, 10, 2048)
	defer func() {
		if recover() == nil {
			t.Error("chunk 10 of 10 was freed")
		}
	}()
	c.Free(10)
}

func TestSegmentsOfFrames(t *testing.T) {
	more, end := dataplane.Frame{Len: 5 | dataplane.FrameMore}, dataplane.Frame{Len: 5}
	for _, c := range []struct {
		frames []dataplane.Frame
		want   int
	}{
		{nil, 0},
		{[]dataplane.Frame{more}, 0},
		{[]dataplane.Frame{end}, 1},
		{[]dataplane.Frame{more, more, end, end}, 3},
	} {
		if got := dataplane.Segments(c.frames); got != c.want {
			t.Errorf("%v: %d, want %d", c.frames, got, c.want)
		}
	}
	if more.Bytes() != 5 || !more.More() || end.More() {
		t.Error("the mark of a frame that goes on is taken for bytes")
	}
}
