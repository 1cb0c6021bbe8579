package daemon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core/ring"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/iokernel"
	"github.com/dunlin-io/dunlin/iokernel/control"
)

// The rings of a port in the order in which they lie in the shared memory.
const (
	ringFill = iota
	ringCompletion
	ringRx
	ringTx
)

// hostile is a runtime that writes what it likes into the memory that it shares with the iokernel.
type hostile struct {
	*rawRuntime
	ring  uint64 // bytes from one ring to the next
	size  uint32 // entries of each
	chunk uint64 // bytes
}

func newHostile(r *rawRuntime) *hostile {
	page := uint64(os.Getpagesize())
	bytes := ring.Standard().Bytes(r.layout.RingEntries, ring.DescBytes)
	return &hostile{
		rawRuntime: r, ring: (bytes + page - 1) / page * page,
		size: r.layout.RingEntries, chunk: uint64(r.layout.ChunkBytes),
	}
}

// at is the memory of a ring of the first worker, from an offset.
func (h *hostile) at(k int, offset uint64) []byte {
	return h.memory.Bytes[uint64(os.Getpagesize())+uint64(k)*h.ring+offset:]
}

func (h *hostile) setProducer(k int, v uint32) {
	binary.NativeEndian.PutUint32(h.at(k, ring.Standard().Producer), v)
}

func (h *hostile) setConsumer(k int, v uint32) {
	binary.NativeEndian.PutUint32(h.at(k, ring.Standard().Consumer), v)
}

// awaitConsumer waits until the iokernel has taken a ringful.
func (h *hostile) awaitConsumer(k int) {
	for start := time.Now(); time.Since(start) < quietTimeout; time.Sleep(time.Millisecond) {
		if binary.NativeEndian.Uint32(h.at(k, ring.Standard().Consumer)) == h.size {
			return
		}
	}
}

// lend puts addresses on the fill ring, which is empty.
func (h *hostile) lend(addrs ...uint64) {
	for i, a := range addrs {
		b := h.at(ringFill, ring.Standard().Entries+uint64(i)*ring.AddrBytes)
		binary.NativeEndian.PutUint64(b, a)
	}
	h.setProducer(ringFill, uint32(len(addrs)))
}

// send puts descriptors on the tx ring, which is empty, and rings.
func (h *hostile) send(descs ...ring.Desc) {
	for i, d := range descs {
		b := h.at(ringTx, ring.Standard().Entries+uint64(i)*ring.DescBytes)
		binary.NativeEndian.PutUint64(b, d.Addr)
		binary.NativeEndian.PutUint32(b[8:], d.Len)
		binary.NativeEndian.PutUint32(b[12:], d.Options)
	}
	h.setProducer(ringTx, uint32(len(descs)))
	h.bell.Signal()
}

// chunks are the addresses of the first n chunks.
func (h *hostile) chunks(n int) (addrs []uint64) {
	for i := range n {
		addrs = append(addrs, uint64(i)*h.chunk)
	}
	return addrs
}

// deed is something that no runtime may do, and what it is called.
type deed struct {
	name string
	do   func(*hostile)
	want iokernel.Violation
}

// deeds are all of them. Those that only show when the iokernel has frames for the runtime rely on
// traffic for it.
func deeds() []deed {
	const far = 1 << 40
	return []deed{
		{
			"tx index far ahead", func(h *hostile) { h.setProducer(ringTx, 1<<20); h.bell.Signal() },
			iokernel.ViolationIndex,
		},
		{
			"tx index behind", func(h *hostile) { h.setProducer(ringTx, ^uint32(0)); h.bell.Signal() },
			iokernel.ViolationIndex,
		},
		{
			"fill index far ahead", func(h *hostile) { h.setProducer(ringFill, 1<<20) },
			iokernel.ViolationIndex,
		},
		{"rx index ahead of what was received", func(h *hostile) {
			h.lend(h.chunks(int(h.size))...)
			h.awaitConsumer(ringFill)
			h.setConsumer(ringRx, h.size+1)
			h.setProducer(ringFill, h.size+1) // or the iokernel has no reason to look
		}, iokernel.ViolationIndex},
		{"completion index ahead of what was sent", func(h *hostile) {
			var descs []ring.Desc
			for _, a := range h.chunks(int(h.size)) {
				descs = append(descs, ring.Desc{Addr: a, Len: minFrame})
			}
			h.send(descs...)
			h.awaitConsumer(ringTx)
			h.setConsumer(ringCompletion, h.size+1)
			h.setProducer(ringTx, h.size+1)
			h.bell.Signal()
		}, iokernel.ViolationIndex},
		{"sends from beyond its memory", func(h *hostile) {
			h.send(ring.Desc{Addr: far, Len: minFrame})
		}, iokernel.ViolationAddress},
		{"sends across the end of its memory", func(h *hostile) {
			h.send(ring.Desc{Addr: uint64(h.layout.Chunks)*h.chunk - 1, Len: minFrame})
		}, iokernel.ViolationAddress},
		{"sends across a chunk's end", func(h *hostile) {
			h.send(ring.Desc{Addr: h.chunk - 1, Len: minFrame})
		}, iokernel.ViolationAddress},
		{
			"sends more than a chunk", func(h *hostile) { h.send(ring.Desc{Len: ^uint32(0)}) },
			iokernel.ViolationAddress,
		},
		{"sends nothing", func(h *hostile) { h.send(ring.Desc{}) }, iokernel.ViolationOptions},
		{"sends with unknown options", func(h *hostile) {
			h.send(ring.Desc{Len: minFrame, Options: 1 << 7})
		}, iokernel.ViolationOptions},
		{"sends a chunk twice", func(h *hostile) {
			h.send(ring.Desc{Len: minFrame}, ring.Desc{Len: minFrame})
		}, iokernel.ViolationDuplicate},
		{"sends a packet of a chunk twice", func(h *hostile) {
			h.send(ring.Desc{Len: minFrame, Options: ring.OptionMore}, ring.Desc{Len: minFrame})
		}, iokernel.ViolationDuplicate},
		{"sends a packet of too many frames", func(h *hostile) {
			var descs []ring.Desc
			for _, a := range h.chunks(dataplane.MaxSegments + 1) {
				descs = append(descs, ring.Desc{Addr: a, Len: 1, Options: ring.OptionMore})
			}
			h.send(descs...)
		}, iokernel.ViolationSegments},
		{
			"lends from beyond its memory", func(h *hostile) { h.lend(far) },
			iokernel.ViolationAddress,
		},
		{"lends a chunk twice", func(h *hostile) { h.lend(0, 0) }, iokernel.ViolationDuplicate},
	}
}

// vandal is the name of the deed of which nobody can say how it ends, except that it does.
const vandal = "writes random bytes"

// vandalize writes random bytes all over header and rings until the iokernel has had enough.
func (h *hostile) vandalize(seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	shared := h.memory.Bytes[:h.layout.Frames]
	for {
		select {
		case <-h.client.Done():
			return
		default:
		}
		for range 16 {
			at := random.IntN(len(shared)/4) * 4
			if random.IntN(2) == 0 { // an index or a flag: they are few among all these bytes
				at = os.Getpagesize() + random.IntN(4)*int(h.ring) + random.IntN(4)*64
			}
			binary.NativeEndian.PutUint32(shared[at:], random.Uint32()>>random.IntN(32))
		}
		h.bell.Signal()
	}
}

// stubborn is the name of what a runtime may do to the files that it was handed, and is not
// evicted for.
const stubborn = "makes its files block"

// stubbornFor is many times what the iokernel needs to wake it.
const stubbornFor = 300 * time.Millisecond

// obstruct makes every file block whoever waits for it, as far as it can, and asks to be woken.
func (h *hostile) obstruct() error {
	full := make([]byte, 8)
	binary.NativeEndian.PutUint64(full, ^uint64(0)-1) // one more, and an eventfd's writer waits
	for _, f := range []*os.File{h.files[control.FileWorker(0)], h.bell.File()} {
		fd := int(f.Fd())
		if err := unix.SetNonblock(fd, false); err != nil {
			return err
		}
		_, _ = unix.Write(fd, full) // it may be a socket that takes nothing
		go func() {
			for b := make([]byte, 8); ; { // and drains what is rung, so that nobody else finds it
				_, _ = unix.Read(fd, b)
			}
		}()
	}
	h.lend(h.chunks(int(h.size))...)
	for start := time.Now(); time.Since(start) < stubbornFor; time.Sleep(time.Millisecond) {
		binary.NativeEndian.PutUint32(h.at(ringRx, ring.Standard().Flags), ring.FlagNeedWakeup)
	}
	return nil
}

// playHostile does one deed and reports how it ended.
func playHostile(socket, name, what string, args []string) error {
	r, err := openRaw(socket, name, false)
	if err != nil {
		return err
	}
	fmt.Println(ready)
	if what == vandal {
		seed, err := strconv.ParseUint(args[0], 10, 64)
		if err != nil {
			return err
		}
		newHostile(r).vandalize(seed)
		fmt.Println(r.client.Wait())
		return r.close()
	}
	if what == stubborn {
		return newHostile(r).obstruct()
	}
	for _, d := range deeds() {
		if d.name == what {
			d.do(newHostile(r))
			fmt.Println(r.client.Wait())
			return r.close()
		}
	}
	return errors.New("no such deed")
}
