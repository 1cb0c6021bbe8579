// Command peers is contestants of `dunlin bench rpc` that are others' work: an echo over gRPC-Go and
// one over quic-go, and a client for each. It is a module of its own, so that the product depends
// on neither; the benchmark builds it.
//
//	peers grpc serve ADDRESS     answers for ever
//	peers grpc call ADDRESS      reads plans from standard input, writes results (encoding/gob)
//
// A plan is one closed loop of calls of a size, for a time; its result is the round trips.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// caller makes one call and returns what came back, valid until the next one.
type caller interface {
	call(data []byte) ([]byte, error)
}

// peer is a library's two ends.
type peer struct {
	serve func(address string) error
	dial  func(address string) (caller, error)
}

func main() {
	peers := map[string]peer{"grpc": {serveGRPC, dialGRPC}, "quic": {serveQUIC, dialQUIC}}
	err := errors.New("usage: peers grpc|quic serve|call ADDRESS")
	if len(os.Args) == 4 {
		if p, ok := peers[os.Args[1]]; ok && os.Args[2] == "serve" {
			err = p.serve(os.Args[3])
		} else if ok && os.Args[2] == "call" {
			err = obey(p, os.Args[3])
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

// plan, result and answer are what package load sends and wants, by the names of their fields.
type plan struct {
	Bytes           int
	Warmup, Measure int64 // ns
	GiveUp          int64
}

type faults struct{ Lost, Late, Duplicate, Corrupt uint64 }

type result struct {
	Samples []uint32 // ns
	Replies uint64
	Sent    uint64
	Elapsed int64
	Faults  faults
}

type answer struct {
	Result result
	Err    string
}

// obey carries out plans until they end.
func obey(p peer, address string) error {
	c, err := p.dial(address)
	if err != nil {
		return err
	}
	plans, results := gob.NewDecoder(os.Stdin), gob.NewEncoder(os.Stdout)
	samples := make([]uint32, 0, 1<<20)
	for {
		var do plan
		if err := plans.Decode(&do); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read plan: %w", err)
		}
		a := answer{Result: run(c, do, samples)}
		if err := results.Encode(a); err != nil {
			return fmt.Errorf("write result: %w", err)
		}
	}
}

// run is one closed loop. Each reply is compared with its request.
func run(c caller, do plan, samples []uint32) (r result) {
	data := make([]byte, do.Bytes)
	samples = samples[:0]
	start := time.Now()
	warm := start.Add(time.Duration(do.Warmup))
	end := warm.Add(time.Duration(do.Measure))
	for begun := start; begun.Before(end) && len(samples) < cap(samples); {
		r.Sent++
		binary.LittleEndian.PutUint64(data, r.Sent)
		for i := 8; i < len(data); i++ {
			data[i] = byte(r.Sent) + byte(i)
		}
		back, err := c.call(data)
		now := time.Now()
		switch {
		case begun.Before(warm):
		case err != nil:
			r.Faults.Lost++
		case !bytes.Equal(back, data):
			r.Faults.Corrupt++
		default:
			samples = append(samples, uint32(min(now.Sub(begun), 1<<32-1)))
		}
		begun = now
	}
	r.Samples, r.Replies, r.Elapsed = samples, uint64(len(samples)), do.Measure
	return r
}
