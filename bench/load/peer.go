package load

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/core/baton"
	"github.com/dunlin-io/dunlin/core/mem"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/xdp/sock"
)

// peer is what a process of ours is told: it is started by this package, confined to its CPU, and
// told nothing but one argument of JSON and its files.
type peer struct {
	Kind      peerKind
	At        netip.AddrPort // to serve, or to send to
	From, To  wire.MAC       // of a generator of frames
	Interface string         // asavie
	UID       int            // asavie: to become, once the socket is open
	Samples   int            // a generator's
	Owner     baton.Owner    // of a core that is handed over
	CPU       int            // that core
	Socket    string         // of the iokernel to attach to
	Runtime   string         // as what
	Ether     uint16         // EtherType to serve
	Work      core.Time      // that a service does for each request
	Direct    bool           // attach to a queue of one's own
	Insecure  bool           // sessions without encryption
	MTU       int            // of sessions
}

type peerKind string

const (
	peerFloor    peerKind = "floor"     // echoes over a bare end: files socket, memory
	peerAsavie   peerKind = "asavie"    // echoes over github.com/asavie/xdp
	peerSpin     peerKind = "udp-spin"  // echoes over a UDP socket, polling
	peerBlock    peerKind = "udp-block" // the same, blocking
	peerBatch    peerKind = "udp-batch" // echoes bursts over a UDP socket, polling
	peerGo       peerKind = "udp-go"    // echoes by package net
	peerTCP      peerKind = "tcp"       // takes the bytes of TCP connections
	peerFrames   peerKind = "frames"    // a generator that parks, over a bare end: files as floor
	peerGoClient peerKind = "go-client" // a generator by package net

	peerService   peerKind = "service"   // attaches, computes and echoes
	peerCompute   peerKind = "compute"   // attaches, and computes for ever: file share
	peerReference peerKind = "reference" // looks at the clock: file share

	peerTalk      peerKind = "talk"       // attaches, echoes calls and can be written to
	peerSink      peerKind = "sink"       // takes frames: files socket, memory, share
	peerTCPEcho   peerKind = "tcp-echo"   // echoes over TCP connections
	peerTCPClient peerKind = "tcp-client" // a generator over a TCP connection

	peerHandover      peerKind = "handover"       // a loop with a baton: files words, load, stamps
	peerHandoverFloor peerKind = "floor-handover" // the same with bare system calls
	peerWakeFloor     peerKind = "floor-wake"     // sleeps until it is woken: files as handover
	peerIdle          peerKind = "idle"           // has the CPU when no other wants it
)

// Files that a peer inherits.
const (
	fileSocket = 3 + iota
	fileMemory
)

// RunPeer is the main function of a process that this package has started: arg is its one argument.
// It returns on errors only, or when its plans end.
func RunPeer(arg string) error {
	var p peer
	if err := json.Unmarshal([]byte(arg), &p); err != nil {
		return fmt.Errorf("load: peer: %w", err)
	}
	if err := p.run(); err != nil {
		return fmt.Errorf("load: peer %s: %w", p.Kind, err)
	}
	return nil
}

func (p *peer) run() error {
	switch p.Kind {
	case peerFloor:
		return p.floor()
	case peerAsavie:
		return p.asavie()
	case peerSpin, peerBlock:
		spinOn("echo")
		return udpServer(p.At, p.Kind == peerBlock, p.Work)
	case peerBatch:
		spinOn("echo")
		return batchServer(p.At)
	case peerGo:
		return goServer(p.At)
	case peerTCP:
		return tcpSink(p.At)
	case peerFrames:
		return p.frames()
	case peerService:
		return p.serveLent()
	case peerCompute:
		return p.compute()
	case peerReference:
		return p.reference()
	case peerTalk:
		return p.talk()
	case peerSink:
		return p.sink()
	case peerTCPEcho:
		return tcpEcho(p.At)
	case peerTCPClient:
		return p.tcpClient()
	case peerHandover:
		return p.handover()
	case peerWakeFloor:
		return p.wakeFloor()
	case peerIdle:
		return p.idle()
	case peerHandoverFloor:
		return p.handoverFloor()
	case peerGoClient:
		c, err := newGoClient(p.At)
		if err != nil {
			return err
		}
		defer c.Close()
		return serve(os.Stdin, os.Stdout, goDriver{NewGenerator(c, p.Samples)})
	}
	return fmt.Errorf("unknown kind")
}

// spinOn keeps the calling goroutine on its thread, and leaves Go's scheduler room beside it.
func spinOn(name string) {
	runtime.LockOSThread()
	pin.Procs(1)
	_ = setThreadName(name) // for show
}

// end opens the bare end that the process has inherited.
func (p *peer) end() (*sock.Socket, *mem.Memory, error) {
	memory, err := mem.Map(os.NewFile(fileMemory, "memory"), FrameMemory)
	if err != nil {
		return nil, nil, err
	}
	s, err := sock.Open(os.NewFile(fileSocket, "socket"), bareSizes())
	return s, memory, err
}

func (p *peer) floor() error {
	s, memory, err := p.end()
	if err != nil {
		return err
	}
	e, err := newFrameEcho(s.Rings(), s, memory.Bytes)
	if err != nil {
		return err
	}
	spinOn("echo")
	for !e.down {
		e.poll()
	}
	return fmt.Errorf("the interface is down: %w", unix.ENETDOWN)
}

// patientSpin is how long the parking generator polls before it parks: not at all, because whoever
// is to answer waits for its CPU.
const patientSpin = 0

func (p *peer) frames() error {
	s, memory, err := p.end()
	if err != nil {
		return err
	}
	client, err := newFrameClient(s.Rings(), s, memory.Bytes,
		rawHeader(p.From, p.To, wire.EtherTypeDunlin))
	if err != nil {
		return err
	}
	// An open loop sleeps until a request is due; the kernel's 50 us of slack would make it late.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set timer slack: %w", err)
	}
	host := core.NewHost()
	loop, err := pin.New(pin.Options{
		Name: "generator", CPU: -1, Spin: patientSpin, Host: host,
		Waiters: []pin.Waiter{socketWaiter{s}},
	})
	if err != nil {
		return err
	}
	pin.Procs(1)
	ended := make(chan error, 1)
	go func() { ended <- loop.Run() }()
	err = serve(os.Stdin, os.Stdout, parkingDriver{loop, host, NewGenerator(client, p.Samples)})
	loop.Stop()
	if lerr := <-ended; err == nil {
		err = lerr
	}
	return err
}

// socketWaiter parks a generator on its socket.
type socketWaiter struct{ socket *sock.Socket }

func (w socketWaiter) FD() int  { return w.socket.FD() }
func (w socketWaiter) Arm(bool) {}
func (w socketWaiter) Drain()   {}
func (w socketWaiter) Pending() bool {
	r := w.socket.Rings()
	return r.Rx.Any()
}
