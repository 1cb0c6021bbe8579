package load

import (
	"context"
	"fmt"

	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane/transport"
	"github.com/dunlin-io/dunlin/dataplane/transport/seal"
)

// What is sealed in the frames of a call and its reply: an acknowledgement, the record's head, and
// the data. (docs/WIRE.md)
const (
	aeadBound = transport.HeaderBytes - 4 // of the header, in the clear and authenticated
	aeadAck   = 28
	aeadCall  = aeadAck + 32 + smallCall
	aeadReply = aeadAck + 28 + smallCall
	// aeadBulk is what a frame of that MTU seals.
	aeadBulk = jumboMTU - transport.HeaderBytes - transport.TagBytes
	// aeadBatch is how many share two readings of the clock.
	aeadBatch = 16
	// aeadFrames is how many a key seals here before another one is made: fewer than it may.
	aeadFrames = 1 << 20
)

// upAEAD is the cipher alone, with counters, keys and windows as the transport has them.
func upAEAD(s *site) ([]*entrant, error) {
	d := &aeadDriver{
		thread: s.thread, samples: make([]uint32, s.o.samples()),
		memory: make([]byte, transport.HeaderBytes+jumboMTU),
	}
	return []*entrant{
		{nameAEAD, nil, map[report.Loop]driver{report.Closed: d}},
		{nameAEADBulk, nil, map[report.Loop]driver{report.Stream: d}},
	}, nil
}

// aeadDriver seals and opens.
type aeadDriver struct {
	thread  *pin.Loop
	samples []uint32
	memory  []byte
	out     [2]*seal.Sender   // of the two ends
	opens   [2]*seal.Receiver // of the other ends
	used    int
}

// renew makes keys.
func (d *aeadDriver) renew() {
	var secrets [2]seal.Secret
	for i := range secrets {
		split := [seal.SecretBytes]byte{byte(i) + 1}
		secrets[i] = seal.NewSecret(&split, make([]byte, 32))
	}
	for i := range d.out {
		k := seal.Keys{Send: secrets[i], Recv: secrets[1-i]}
		d.out[i] = k.Sender(0, 0)
		k = seal.Keys{Send: secrets[1-i], Recv: secrets[i]}
		d.opens[i] = k.Receiver(0)
	}
	d.used = 0
}

func (d *aeadDriver) run(ctx context.Context, p Plan) (r Result, err error) {
	d.renew()
	d.thread.Do(func() {
		if p.Loop == report.Stream {
			r, err = d.bulk(p)
		} else {
			r, err = d.calls(p)
		}
	})
	if err == nil {
		err = ctx.Err()
	}
	return r, err
}

// hop seals a body of n bytes at one end and opens it at the other.
func (d *aeadDriver) hop(end, n int, open bool) error {
	bound := d.memory[:aeadBound]
	counter, phase, ok := d.out[end].Take()
	if !ok {
		return fmt.Errorf("load: a key is used up")
	}
	sealed := d.out[end].Seal(d.memory[transport.HeaderBytes:transport.HeaderBytes+n], bound)
	if !open {
		return nil
	}
	if _, reason := d.opens[end].Open(0, phase, counter, sealed, bound); reason != seal.OK {
		return fmt.Errorf("load: a frame does not open: %v", reason)
	}
	return nil
}

// calls times two seals and two opens.
func (d *aeadDriver) calls(p Plan) (Result, error) {
	clock := pin.NewClock()
	start := clock.Now()
	warm, end := start+p.Warmup, start+p.Warmup+p.Measure
	samples := d.samples[:0]
	for begun := start; begun < end && len(samples) < cap(samples); {
		for range aeadBatch {
			if err := d.hop(0, aeadCall, true); err != nil {
				return Result{}, err
			}
			if err := d.hop(1, aeadReply, true); err != nil {
				return Result{}, err
			}
		}
		now := clock.Now()
		if begun >= warm {
			samples = append(samples, nanoseconds((now-begun)/aeadBatch))
		}
		if d.used += aeadBatch; d.used > aeadFrames {
			d.renew()
		}
		begun = clock.Now()
	}
	return Result{Samples: samples, Replies: uint64(len(samples)), Elapsed: p.Measure}, nil
}

// bulk counts the bytes that one end seals. The other opens them on a CPU of its own meanwhile.
func (d *aeadDriver) bulk(p Plan) (Result, error) {
	clock := pin.NewClock()
	warm := clock.Now() + p.Warmup
	var begun, now core.Time
	sealed := uint64(0)
	for now = clock.Now(); begun == 0 || now < begun+p.Measure; now = clock.Now() {
		if begun == 0 && now >= warm {
			begun, sealed = now, 0
		}
		for range aeadBatch {
			if err := d.hop(0, aeadBulk, false); err != nil {
				return Result{}, err
			}
			sealed += aeadBulk
		}
		if d.used += aeadBatch; d.used > aeadFrames {
			d.renew()
		}
	}
	return Result{Replies: sealed, Elapsed: now - begun}, nil
}
