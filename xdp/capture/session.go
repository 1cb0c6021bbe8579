package capture

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bpf"
)

// session is one run.
type session struct {
	options   Options
	program   ebpf.ProgramID
	source    *bpf.Capture
	out       *bufio.Writer
	file      writer
	broken    error // Out's first error: nothing more is written
	start     time.Time
	sinceBoot int64 // added to CLOCK_MONOTONIC gives ns since 1970
	frames    uint64
	bytes     uint64
}

func (s *session) header() error {
	return s.write(s.file.header(s.options.Interface, s.options.SnapLen), true)
}

// write notes whether a block could be written, and with flush hands on what is collected.
func (s *session) write(err error, flush bool) error {
	if err == nil && flush {
		err = s.out.Flush()
	}
	if err != nil && s.broken == nil {
		s.broken = fmt.Errorf("write: %w", err)
	}
	return s.broken
}

// copyAll moves frames from the rings to the file until one of Run's ends is reached.
func (s *session) copyAll(ctx context.Context) error {
	var event bpf.Event
	stopped := false
	checked := s.start
	for s.options.Count == 0 || s.frames < uint64(s.options.Count) {
		if !stopped && ctx.Err() != nil {
			stopped = true
			if err := s.source.Stop(); err != nil { // what is in the rings is still written
				return err
			}
		}
		now := time.Now()
		err := s.source.Read(&event, now.Add(pollEvery))
		switch {
		case err == nil:
			if err := s.copy(&event); err != nil {
				return err
			}
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			if err := s.write(nil, true); err != nil {
				return err
			}
			if now.Sub(checked) >= checkEvery {
				checked = now
				if err := s.stillAttached(); err != nil {
					return err
				}
			}
		default:
			return err
		}
	}
	return nil
}

func (s *session) copy(event *bpf.Event) error {
	err := s.file.packet(&packet{
		time:    uint64(event.Time + s.sinceBoot),
		length:  int(event.Length),
		data:    event.Data,
		queue:   event.Queue,
		verdict: uint64(event.Verdict),
		comment: event.Reason.String(),
	})
	if err := s.write(err, false); err != nil {
		return err
	}
	s.frames++
	s.bytes += uint64(len(event.Data))
	return nil
}

// finish ends file and capture, and adds what goes wrong there to why the run ended.
func (s *session) finish(cause error) (Stats, error) {
	stats := Stats{Frames: s.frames, Bytes: s.bytes}
	lost, lostErr := s.source.Lost()
	stats.Lost = lost
	closeErr := s.source.Close()
	if s.broken == nil {
		err := s.write(s.file.statistics(statistics{
			start:    uint64(s.start.UnixNano()),
			end:      uint64(time.Now().UnixNano()),
			received: s.frames + lost,
			lost:     lost,
		}), true)
		cause = errors.Join(cause, err)
	}
	return stats, errors.Join(cause, lostErr, closeErr)
}

func (s *session) stillAttached() error {
	now, err := attached(s.options.Interface)
	if errors.Is(err, ErrNoProgram) || err == nil && now != s.program {
		return ErrDetached
	}
	return err
}

// wallOfMonotonic is what CLOCK_MONOTONIC lacks to the time of day, in ns. It is taken once: a step
// of the wall clock during a capture would otherwise put its frames out of order.
func wallOfMonotonic() (int64, error) {
	var monotonic unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &monotonic); err != nil {
		return 0, fmt.Errorf("read CLOCK_MONOTONIC: %w", err)
	}
	return time.Now().UnixNano() - monotonic.Nano(), nil
}
