package load

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/xdp/sock"
)

// The floor of bulk: frames of the largest size from one AF_XDP socket to another, which looks at
// the number in each and frees it. What it has taken it says in shared memory, so that the sender
// does not send what would be dropped, and nothing travels back. The copied floor is the same with
// the least that anybody does who has bytes to send: they are copied into the frames at one end,
// and out of them at the other.

// floorWindow is how many frames may be under way: three chunks each fit into a ring twice. (guess)
const floorWindow = portRing / 6

// floorPatience is after which frames under way count as dropped. (guess: a time slice, and some)
const floorPatience = 10 * core.Millisecond

// fileFloorShare is the third file of a sink.
const fileFloorShare = 5

func upBulkFloor(s *site) ([]*entrant, error) {
	p, err := s.pairOf("bulkfloor", jumboMTU)
	if err != nil {
		return nil, err
	}
	server, memory, err := s.openBuffers(p, lab.B)
	if err != nil {
		return nil, err
	}
	socket, own, err := s.openBuffers(p, lab.A)
	if err != nil {
		return nil, err
	}
	end, err := newPortEnd(socket.Socket, own)
	if err != nil {
		return nil, err
	}
	share, err := s.newShare()
	if err != nil {
		return nil, err
	}
	c, err := s.peer(peer{Kind: peerSink}, birth{
		name: "bulk floor sink", cpu: s.cpus.server, uid: nobody,
		files: []*os.File{server.File(), memory.File(), share.File()},
	})
	if err != nil {
		return nil, err
	}
	for start := time.Now(); layShare(share.Bytes).longest.Load() == 0; time.Sleep(answerPause) {
		if err := c.alive(); err != nil {
			return nil, err
		}
		if time.Since(start) > answerPatience {
			return nil, fmt.Errorf("load: %s is not ready within %v", c.name, answerPatience)
		}
	}
	d := &floorDriver{
		thread: s.thread, end: end, taken: layShare(share.Bytes),
		from: wire.MAC(p.Ends[lab.A].MAC), to: wire.MAC(p.Ends[lab.B].MAC),
		source: make([]byte, writeBytes),
	}
	return []*entrant{
		{nameBulkBare, []*child{c}, map[report.Loop]driver{report.Stream: d}},
		{nameBulkCopied, []*child{c}, map[report.Loop]driver{report.Stream: copying{d}}},
	}, nil
}

// What a frame of the floor begins with: its number, and whether its bytes are copied.
const (
	floorNumber = wire.EthernetBytes
	floorCopied = floorNumber + 8
)

// sink takes frames for ever.
func (p *peer) sink() error {
	memory, err := mem.Map(os.NewFile(fileMemory, "memory"), portBytes)
	if err != nil {
		return err
	}
	share, err := mem.Map(os.NewFile(fileFloorShare, "share"), os.Getpagesize())
	if err != nil {
		return err
	}
	s, err := sock.Open(os.NewFile(fileSocket, "socket"), portSizes())
	if err != nil {
		return err
	}
	e, err := newPortEnd(s, memory)
	if err != nil {
		return err
	}
	spinOn("sink")
	taken := layShare(share.Bytes)
	taken.longest.Store(1) // ready
	var in [dataplane.MaxBurst]dataplane.Frame
	region, at := make([]byte, regionBytes), 0
	for {
		n := e.port.Recv(in[:])
		for frames := in[:n]; len(frames) > 0; {
			k := dataplane.Segments(frames)
			b := e.pool.Bytes(frames[0])
			if [2]byte(b[12:14]) == [2]byte{0x88, 0xB5} {
				number := binary.BigEndian.Uint64(b[floorNumber:])
				if b[floorCopied] != 0 {
					for _, f := range frames[:k] {
						at += copy(region[at:], e.pool.Bytes(f))
					}
					if at > len(region)-jumboMTU-wire.EthernetBytes {
						at = 0
					}
				}
				taken.useful.Store(int64(number)) // all before it came, or are lost
				taken.stalls.Store(taken.stalls.Load() + 1)
			}
			e.cache.FreeAll(frames[:k])
			frames = frames[k:]
		}
		e.port.Flush()
	}
}

// floorDriver sends to a sink.
type floorDriver struct {
	thread   *pin.Loop
	end      portEnd
	taken    *share // useful: number of the last frame; stalls: how many there were
	from, to wire.MAC
	number   uint64
	source   []byte // of the bytes that are copied
	copied   bool
	frames   [dataplane.MaxBurst]dataplane.Frame
}

// copying is a driver that copies.
type copying struct{ *floorDriver }

func (c copying) run(ctx context.Context, p Plan) (Result, error) {
	c.copied = true
	defer func() { c.copied = false }()
	return c.floorDriver.run(ctx, p)
}

func (d *floorDriver) run(ctx context.Context, p Plan) (r Result, err error) {
	d.thread.Do(func() { r, err = d.send(ctx, p) })
	return r, err
}

func (d *floorDriver) send(ctx context.Context, p Plan) (Result, error) {
	clock := pin.NewClock()
	start := clock.Now()
	if err := d.sendUntil(ctx, clock, start+p.Warmup); err != nil {
		return Result{}, err
	}
	before, begun, sent := d.taken.stalls.Load(), clock.Now(), d.number
	if err := d.sendUntil(ctx, clock, begun+p.Measure); err != nil {
		return Result{}, err
	}
	end := clock.Now()
	after := d.taken.stalls.Load()
	r := Result{Replies: (after - before) * jumboMTU, Elapsed: end - begun}
	if r.Replies == 0 {
		r.Faults.Lost = d.number - sent + 1 // the report says that there were some
	}
	return r, ctx.Err()
}

// sendUntil keeps the window full.
func (d *floorDriver) sendUntil(ctx context.Context, clock pin.Clock, end core.Time) error {
	progress, last := clock.Now(), d.taken.useful.Load()
	for now := progress; now < end && ctx.Err() == nil; now = clock.Now() {
		d.end.port.Recv(nil) // reaps what was sent
		taken := d.taken.useful.Load()
		if taken != last {
			progress, last = now, taken
		} else if now-progress > floorPatience {
			d.number = uint64(taken) // the last ones were dropped: begin behind what came
			progress = now
		}
		for n := 0; n < burst/4 && d.number < uint64(taken)+floorWindow; n++ {
			if !d.one() {
				break
			}
		}
		d.end.port.Flush()
		if d.end.port.Counters().TxDropped > 0 {
			return fmt.Errorf("load: %w", unix.ENETDOWN)
		}
	}
	return nil
}

// one hands a frame over.
func (d *floorDriver) one() bool {
	count, source := 0, d.source
	if d.copied {
		source = source[d.number*jumboMTU%uint64(len(source)-2*jumboMTU):]
	}
	for left := jumboMTU + wire.EthernetBytes; left > 0; count++ {
		index, ok := d.end.cache.Alloc()
		if !ok {
			break
		}
		f := dataplane.Frame{Index: index, Len: uint16(min(left, dataplane.MaxChunkBytes))}
		b := d.end.pool.Chunk(index)[:f.Len]
		if d.copied {
			source = source[copy(b, source):]
		}
		if count == 0 {
			wire.PutEthernet(b, d.to, d.from, wire.EtherTypeDunlin)
			binary.BigEndian.PutUint64(b[floorNumber:], d.number+1)
			b[floorCopied] = 0
			if d.copied {
				b[floorCopied] = 1
			}
		}
		if left -= int(f.Len); left > 0 {
			f.Len |= dataplane.FrameMore
		}
		d.frames[count] = f
	}
	if count == 0 || d.frames[count-1].More() || d.end.port.Send(d.frames[:count]) == 0 {
		d.end.cache.FreeAll(d.frames[:count])
		return false
	}
	d.number++
	return true
}
