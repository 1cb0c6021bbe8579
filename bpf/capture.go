package bpf

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/perf"
	"golang.org/x/sys/unix"
)

const (
	// MaxSnapLen bounds the bytes kept of one frame, in bytes: beyond any jumbo frame (9,014), well
	// below the 65,535 of one perf record.
	MaxSnapLen = 16384
	// DefaultRingBytes is the room for captured frames per CPU, in bytes: 9,000 of 64 B, or 700 of
	// 1,400 B. At a million small ones a second a reader may be away for 9 ms. Guess.
	DefaultRingBytes = 1 << 20
	// Its bounds, in bytes: a page, and a guess at what nobody needs locked.
	minRingBytes, maxRingBytes = 4096, 1 << 28
)

var (
	// ErrNotSteer: the program is not this package's steer, so nothing in it copies frames.
	ErrNotSteer = errors.New("not dunlin's steering program")
	// ErrBusy: somebody captures from the program already.
	ErrBusy = errors.New("another capture is running")
)

// CaptureOptions say which frames are captured, and how much of each.
type CaptureOptions struct {
	All       bool // every verdict; otherwise only frames that were redirected
	SnapLen   int  // bytes kept of each frame; 0: MaxSnapLen
	RingBytes int  // ring per CPU, rounded up to a power of two of pages; 0: DefaultRingBytes
}

// Capture reads copies of the frames that a steer program decides on, this process's or another's.
// A program serves one capture at a time, which ends with its process at the latest.
//
// Read belongs to one goroutine; Stop and Lost may be called from others meanwhile, Close after
// all.
type Capture struct {
	maps      steerMaps // the three that capture uses; the others are nil
	lock      int       // socket whose name no second capture can have; -1: none
	order     steerCaptureOrder
	lostFirst uint64 // count of lost frames when the capture began
	reader    *perf.Reader
	record    perf.Record
}

// OpenCapture starts to capture from a steer program that is loaded: (*Steer).Program, or one found
// by its id, which needs CAP_SYS_ADMIN. The errors wrap ErrNotSteer, ErrBusy or the kernel's.
func OpenCapture(steer *ebpf.Program, o CaptureOptions) (*Capture, error) {
	c := &Capture{lock: -1}
	if err := c.open(steer, o); err != nil {
		return nil, fmt.Errorf("bpf: capture: %w", errors.Join(err, c.Close()))
	}
	return c, nil
}

func (c *Capture) open(steer *ebpf.Program, o CaptureOptions) error {
	if o.SnapLen == 0 {
		o.SnapLen = MaxSnapLen
	}
	if o.RingBytes == 0 {
		o.RingBytes = DefaultRingBytes
	}
	if o.SnapLen < 0 || o.SnapLen > MaxSnapLen {
		return fmt.Errorf("%d bytes of each frame: want 1 to %d", o.SnapLen, MaxSnapLen)
	}
	if o.RingBytes < minRingBytes || o.RingBytes > maxRingBytes {
		return fmt.Errorf("ring of %d bytes: want %d to %d",
			o.RingBytes, minRingBytes, maxRingBytes)
	}
	c.order = steerCaptureOrder{Mode: steerCaptureModeCAPTURE_REDIRECTED}
	c.order.SnapBytes = uint32(o.SnapLen)
	if o.All {
		c.order.Mode = steerCaptureModeCAPTURE_ALL
	}

	if err := c.findMaps(steer); err != nil {
		return err
	}
	if err := c.claim(steer); err != nil {
		return err
	}
	var err error
	if c.lostFirst, err = c.lostEver(); err != nil {
		return err
	}
	// To wake a reader takes an interrupt to the core that received the frame, which costs that
	// core more than the copy does. So it is woken when a ring is a quarter full, and otherwise
	// finds what is there when its deadline passes.
	c.reader, err = perf.NewReaderWithOptions(c.maps.CaptureRings, o.RingBytes,
		perf.ReaderOptions{Watermark: o.RingBytes / 4})
	if err != nil {
		return fmt.Errorf("rings: %w", err)
	}
	if err := c.maps.Capture.Put(uint32(0), c.order); err != nil {
		return fmt.Errorf("switch on: %w", err)
	}
	return nil
}

// findMaps opens the maps through which the program is told what to capture.
func (c *Capture) findMaps(steer *ebpf.Program) error {
	info, err := steer.Info()
	if err != nil {
		return fmt.Errorf("describe program: %w", err)
	}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return fmt.Errorf("map %d of program %s: %w", id, info.Name, err)
		}
		about, err := m.Info()
		if err != nil {
			err = fmt.Errorf("map %d of program %s: %w", id, info.Name, err)
			return errors.Join(err, m.Close())
		}
		slot := map[string]**ebpf.Map{
			steerMapCapture:      &c.maps.Capture,
			steerMapCaptureRings: &c.maps.CaptureRings,
			steerMapCaptureLost:  &c.maps.CaptureLost,
		}[about.Name]
		if slot != nil && *slot == nil {
			*slot = m
		} else if err := m.Close(); err != nil {
			return err
		}
	}
	if c.maps.Capture == nil || c.maps.CaptureRings == nil || c.maps.CaptureLost == nil ||
		c.maps.CaptureRings.Type() != ebpf.PerfEventArray {
		return fmt.Errorf("program %s: %w", info.Name, ErrNotSteer)
	}
	return nil
}

// claim takes the name that stands for capturing from this program. It is a socket's name, not a
// flag in a map, because the kernel takes it back when the process dies. Names are kept by network
// namespace, as interfaces are.
func (c *Capture) claim(steer *ebpf.Program) error {
	info, err := steer.Info()
	if err != nil {
		return fmt.Errorf("describe program: %w", err)
	}
	id, ok := info.ID()
	if !ok {
		return fmt.Errorf("program %s has no id: %w", info.Name, ebpf.ErrNotSupported)
	}
	if c.lock, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	name := fmt.Sprintf("@dunlin/capture/%d", id)
	err = unix.Bind(c.lock, &unix.SockaddrUnix{Name: name})
	if errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("program %s (id %d): %w", info.Name, id, ErrBusy)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", name, err)
	}
	return nil
}

// Read waits for the next frame, until deadline (zero: for ever), and fills e, whose bytes stay
// valid until the next Read. A ring less than a quarter full is looked at only when the deadline
// passes, so a short deadline, not a long one, gives frames soon. The errors are
// os.ErrDeadlineExceeded when no frame is left at the deadline, io.EOF when none is left after
// Stop, and the ring's own. The frames that one CPU received come in their order.
func (c *Capture) Read(e *Event, deadline time.Time) error {
	c.reader.SetDeadline(deadline)
	for {
		err := c.reader.ReadInto(&c.record)
		if errors.Is(err, perf.ErrFlushed) {
			return io.EOF
		}
		if err != nil {
			return err
		}
		// A record without bytes only repeats how many were lost, which the program counted.
		if len(c.record.RawSample) > 0 {
			return e.parse(c.record.RawSample)
		}
	}
}

// Stop ends the capture. Frames captured before can still be read, up to one io.EOF.
func (c *Capture) Stop() error {
	if err := c.switchOff(); err != nil {
		return err
	}
	return c.reader.Flush()
}

func (c *Capture) switchOff() error {
	off := steerCaptureOrder{Mode: steerCaptureModeCAPTURE_OFF}
	if err := c.maps.Capture.Put(uint32(0), off); err != nil {
		return fmt.Errorf("bpf: capture: switch off: %w", err)
	}
	return nil
}

// Lost counts the frames that should have been captured and found no room in their ring.
func (c *Capture) Lost() (uint64, error) {
	lost, err := c.lostEver()
	return lost - c.lostFirst, err
}

func (c *Capture) lostEver() (sum uint64, err error) {
	var perCPU []uint64
	if err := c.maps.CaptureLost.Lookup(uint32(0), &perCPU); err != nil {
		return c.lostFirst, fmt.Errorf("count of lost frames: %w", err)
	}
	for _, n := range perCPU {
		sum += n
	}
	return sum, nil
}

// Close stops the capture and frees everything. It may be repeated.
func (c *Capture) Close() error {
	var errs []error
	if c.reader != nil {
		errs = append(errs, c.switchOff(), c.reader.Close())
		c.reader = nil
	}
	if c.lock >= 0 {
		errs = append(errs, unix.Close(c.lock))
		c.lock = -1
	}
	errs = append(errs, c.maps.Close())
	return errors.Join(errs...)
}
