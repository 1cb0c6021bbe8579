package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/bpf"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/xdp"
)

// site is the network and the processes of one benchmark.
type site struct {
	o        Options
	cpus     placement
	lab      *lab.Lab
	pairs    int
	mtu      int    // of the next pair; 0: 1500
	trust    *trust // nil: nobody needs it yet
	peers    string // program of bench/peers; empty: not built yet
	nursery  *nursery
	thread   *pin.Loop
	dir      string // of configurations and control sockets
	children []*child
	xdp      string          // how AF_XDP works here
	wants    map[string]bool // contestants that have rows
	remarks  []func() string // what contestants add to the notes at the end
	timeline func() *report.Timeline
	closers  []func() error
}

// maxLoops is how many loops of this process may spin: the generator's and the iokernel's. (Those
// of the iokernels that serve other rows are parked.)
const maxLoops = 2

// newSite makes the network. Whatever happens, close takes down what there is.
func newSite(o Options) (_ *site, err error) {
	allowed, err := pin.Allowed()
	if err != nil {
		return nil, err
	}
	s := &site{o: o, wants: map[string]bool{}}
	if s.cpus, err = place(allowed.List(), siblings); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	pin.Procs(maxLoops)
	// The rows' loops allocate nothing; what the control plane leaves behind is collected between
	// rounds, and not while a row runs.
	percent := debug.SetGCPercent(-1)
	s.atClose(func() error { debug.SetGCPercent(percent); return nil })

	if s.dir, err = makeDir(); err != nil {
		return nil, err
	}
	s.atClose(func() error { return os.RemoveAll(s.dir) })
	s.nursery = newNursery()
	s.atClose(func() error { s.nursery.close(); return nil })
	if s.thread, err = newThread("generator", s.cpus.generator); err != nil {
		return nil, err
	}
	s.atClose(func() error { s.thread.Stop(); return nil })
	return s, nil
}

// atClose has f called by close, after everything that is set up later was closed.
func (s *site) atClose(f func() error) { s.closers = append(s.closers, f) }

func (s *site) close() error {
	var errs []error
	for _, f := range slices.Backward(s.closers) {
		errs = append(errs, f())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// dirPrefix begins the names of our directories; the number of the process follows.
const dirPrefix = "dunlin-bench-"

// makeDir makes a directory that everybody may pass through, and removes those of processes that
// were killed before they could.
func makeDir() (string, error) {
	old, err := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	if err != nil {
		return "", fmt.Errorf("load: %w", err)
	}
	for _, dir := range old {
		number, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		pid, err := strconv.Atoi(number)
		if err == nil && unix.Kill(pid, 0) == unix.ESRCH {
			_ = os.RemoveAll(dir) // somebody else's, if it cannot be removed
		}
	}
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", dirPrefix, os.Getpid()))
	if err != nil {
		return "", fmt.Errorf("load: %w", err)
	}
	const passThrough = 0o711
	if err := os.Chmod(dir, passThrough); err != nil {
		return "", fmt.Errorf("load: %w", err)
	}
	return dir, nil
}

// clearServers moves this process's own threads off the servers' CPU while rows run.
func (s *site) clearServers() error {
	restore, err := pin.KeepOff([]int{s.cpus.server})
	if err == nil {
		s.atClose(func() error { restore(); return nil })
	}
	return err
}

// firstSubnet is where the pairs' addresses begin: 10.10.0.0/24.
const firstSubnet = 10

// pair makes the veth pair of a family, with one queue and permanent neighbours, so that nothing is
// on it but requests and replies.
func (s *site) pair(name string, bare ...lab.Side) (*lab.Pair, error) {
	o := lab.PairOptions{
		Names: [2]string{name + "-a", name + "-b"}, Subnet: firstSubnet + s.pairs,
		NoIPv6: true, Neighbours: true, MTU: s.mtu,
	}
	for _, side := range bare {
		o.Bare[side] = true
	}
	s.pairs++
	if s.lab != nil {
		return s.lab.AddPair(o)
	}
	l, err := lab.New(o)
	if err != nil {
		return nil, err
	}
	s.lab = l
	s.atClose(l.Close)
	return l.Pair(), nil
}

// in enters the namespace of a side.
func (s *site) in(side lab.Side) func(func() error) error {
	return func(f func() error) error { return s.lab.In(side, f) }
}

// bareEnd is an AF_XDP socket on an end of a pair, and the memory under it.
type bareEnd struct {
	socket *xdp.Socket
	memory *mem.Memory
}

// openEnd attaches the program that redirects everything, and opens a socket for it.
func (s *site) openEnd(p *lab.Pair, side lab.Side) (e bareEnd, err error) {
	program, err := bpf.LoadRedirect(1, false)
	if err != nil {
		return e, err
	}
	s.atClose(program.Close)
	if e.memory, err = mem.Create("dunlin-bench", FrameMemory); err != nil {
		return e, err
	}
	s.atClose(e.memory.Close)
	err = s.lab.In(side, func() error {
		i, err := xdp.Open(xdp.Options{Interface: p.Ends[side].Name, Program: program})
		if err != nil {
			return err
		}
		s.atClose(func() error { return s.lab.In(side, i.Close) })
		e.socket, err = i.OpenSocket(0, e.memory.Bytes, xdp.SocketOptions{
			Name:  "bench",
			Rings: bareSizes(), ChunkBytes: chunkBytes,
		})
		if err != nil {
			return err
		}
		copied := "copy"
		if e.socket.ZeroCopy() {
			copied = "zero-copy"
		}
		s.xdp = fmt.Sprintf("%v XDP, %s, %d descriptors a system call", i.Mode(), copied,
			e.socket.TxBudget())
		return i.Register(e.socket, 0)
	})
	return e, err
}

// client opens the generator's end of a pair.
func (s *site) client(p *lab.Pair) (*frameClient, error) {
	e, err := s.openEnd(p, lab.A)
	if err != nil {
		return nil, err
	}
	return newFrameClient(e.socket.Rings(), e.socket.Socket, e.memory.Bytes, s.raw(p))
}

// raw is the header of raw frames from A to B.
func (s *site) raw(p *lab.Pair) header { return frameHeader(p, wire.EtherTypeDunlin) }

// frameHeader is that of frames of an EtherType from A to B.
func frameHeader(p *lab.Pair, t wire.EtherType) header {
	return rawHeader(wire.MAC(p.Ends[lab.A].MAC), wire.MAC(p.Ends[lab.B].MAC), t)
}

// files are what a process needs that is to work a bare end.
func (e bareEnd) files() []*os.File { return []*os.File{e.socket.File(), e.memory.File()} }

// peer starts a process of this program. What b leaves open is filled in.
func (s *site) peer(p peer, b birth) (*child, error) {
	argument, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	b.command = append(slices.Clone(s.o.Self), string(argument))
	return s.start(b, false)
}

// start starts a process, which is parked until its row comes and ends with the site.
func (s *site) start(b birth, inOrder bool) (*child, error) {
	b.env = s.o.Env
	c, err := s.nursery.start(b)
	if err != nil {
		return nil, err
	}
	s.children = append(s.children, c)
	s.atClose(func() error { return c.end(inOrder) })
	return c, nil
}

// at is the address of a port on side B.
func at(p *lab.Pair, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(p.Ends[lab.B].IPv4, port)
}

// from is any port of the address on side A.
func from(p *lab.Pair) netip.AddrPort { return netip.AddrPortFrom(p.Ends[lab.A].IPv4, 0) }

// processes describes all that take part and live.
func (s *site) processes() ([]report.Process, error) {
	all := []report.Process{}
	self, err := describe("bench", os.Getpid())
	if err != nil {
		return nil, err
	}
	all = append(all, self)
	for _, c := range s.children {
		p, err := describe(c.name, c.pid())
		if err != nil {
			return nil, errors.Join(c.alive(), err)
		}
		all = append(all, p)
	}
	return all, nil
}

// parkAll stops all processes.
func (s *site) parkAll() error {
	for _, c := range s.children {
		if err := c.park(); err != nil {
			return err
		}
	}
	return nil
}
