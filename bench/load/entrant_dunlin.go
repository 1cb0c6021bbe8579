package load

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/dataplane/wire"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/daemon"
)

// runtimeName is the runtime of each iokernel here: there is one.
const runtimeName = "echo"

// iokernelConfig is what an iokernel on side B of a pair is told: everything by default, but the
// CPUs. It parks when idle, so that it is quiet while other rows run.
func (s *site) iokernelConfig(p *lab.Pair) config.Config {
	c := config.Default()
	c.Interface = p.Ends[lab.B].Name
	c.CPU = config.CPU(s.cpus.iokernel)
	c.Poll = config.PollAdaptive
	c.Control.Socket = filepath.Join(s.dir, p.Ends[lab.B].Name+".sock")
	c.Control.Mode = 0o666 // who may attach is in the configuration
	r := config.DefaultRuntime()
	r.Name = runtimeName
	r.UIDs = []config.Account{config.ID(nobody)}
	r.CPUs = config.CPUs{s.cpus.server}
	r.Endpoints = []config.Endpoint{{EtherType: uint16(wire.EtherTypeDunlin)}}
	c.Runtimes = []config.Runtime{r}
	return c
}

// startIokernel starts an iokernel inside this process.
func (s *site) startIokernel(c config.Config) (*daemon.Daemon, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("load: configuration of the iokernel: %w", err)
	}
	d, err := daemon.Start(daemon.Options{Config: c, Build: commit(), Inside: s.in(lab.B)})
	if err != nil {
		return nil, err
	}
	s.atClose(d.Close)
	return d, nil
}

// echo starts `dunlin echo`, a process without rights, attached to an iokernel. It polls for ever:
// it is parked from outside.
func (s *site) echo(name string, c config.Config, options ...string) (*child, error) {
	command := slices.Concat(s.o.Echo, []string{
		"--socket", c.Control.Socket, "--name", runtimeName,
		"--spin", "forever",
	}, options)
	return s.start(birth{name: name, command: command, cpu: s.cpus.server, uid: nobody}, false)
}

// upDirect is a runtime that was handed the socket of a queue. The iokernel's loop has nothing to
// do.
func upDirect(s *site) ([]*entrant, error) {
	if len(s.o.Echo) == 0 {
		return nil, &leftOut{"there is no program that attaches to an iokernel"}
	}
	p, err := s.pair("direct")
	if err != nil {
		return nil, err
	}
	c := s.iokernelConfig(p)
	c.XDP.Queues = config.Queues{}
	c.Runtimes[0].AllowDirect, c.Runtimes[0].Queue = true, 0
	if _, err := s.startIokernel(c); err != nil {
		return nil, err
	}
	client, err := s.client(p)
	if err != nil {
		return nil, err
	}
	echo, err := s.echo("direct echo", c, "--direct")
	if err != nil {
		return nil, err
	}
	return []*entrant{{nameDirect, []*child{echo}, allLoops(s.local(client))}}, nil
}

// upMediated is a runtime behind an iokernel. On two CPUs the generator shares the iokernel's host,
// as an application in the same place would: both are pollers of one loop.
func upMediated(s *site) ([]*entrant, error) {
	if len(s.o.Echo) == 0 {
		return nil, &leftOut{"there is no program that attaches to an iokernel"}
	}
	p, err := s.pair("mediated")
	if err != nil {
		return nil, err
	}
	c := s.iokernelConfig(p)
	c.Runtimes[0].Endpoints = append(c.Runtimes[0].Endpoints, config.Endpoint{UDP: portUDP})
	d, err := s.startIokernel(c)
	if err != nil {
		return nil, err
	}
	client, err := s.client(p)
	if err != nil {
		return nil, err
	}
	echo, err := s.echo("mediated echo", c)
	if err != nil {
		return nil, err
	}
	drive := s.local
	if s.cpus.iokernel == s.cpus.generator {
		drive = func(t Transport) driver {
			return hostDriver{d.Loop(), d.Host(), NewGenerator(t, s.o.samples())}
		}
	}
	a, b := p.Ends[lab.A], p.Ends[lab.B]
	udp := udpHeader(wire.UDPFlow{
		SrcMAC: wire.MAC(a.MAC), Src: wire.UDPAddrFrom(netip.AddrPortFrom(a.IPv4, portClient)),
		DstMAC: wire.MAC(b.MAC), Dst: wire.UDPAddrFrom(at(p, portUDP)),
	})
	return []*entrant{
		{nameMediated, []*child{echo}, allLoops(drive(headed{client, s.raw(p)}))},
		{nameMediatedUDP, []*child{echo}, allLoops(drive(headed{client, udp}))},
	}, nil
}

// upBinary is the same with everything in a process of its own: generator and iokernel share a CPU
// by the kernel's scheduler, so both park whenever they have nothing to do.
func upBinary(s *site) ([]*entrant, error) {
	if len(s.o.Echo) == 0 {
		return nil, &leftOut{"there is no program that attaches to an iokernel"}
	}
	if _, err := os.Stat(s.o.Iokernel); errors.Is(err, fs.ErrNotExist) {
		return nil, &leftOut{fmt.Sprintf("there is no %q: make build", s.o.Iokernel)}
	}
	p, err := s.pair("binary")
	if err != nil {
		return nil, err
	}
	c := s.iokernelConfig(p)
	if s.cpus.iokernel == s.cpus.generator {
		c.Spin = 0 // each turn in vain keeps the generator from its CPU (DIARY #2)
	}
	file := filepath.Join(s.dir, "iokernel.yaml")
	if err := os.WriteFile(file, iokernelFile(c), 0o600); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	client, err := s.openEnd(p, lab.A)
	if err != nil {
		return nil, err
	}
	iokernel, err := s.start(birth{
		name:    "iokernel",
		command: []string{s.o.Iokernel, "--config", file}, cpu: anyCPU, inside: s.in(lab.B),
	}, true)
	if err != nil {
		return nil, err
	}
	echo, err := s.echo("binary echo", c, "--reconnect")
	if err != nil {
		return nil, err
	}
	generator, err := s.peer(peer{
		Kind: peerFrames, From: wire.MAC(p.Ends[lab.A].MAC),
		To: wire.MAC(p.Ends[lab.B].MAC), Samples: s.o.samples(),
	},
		birth{
			name: "binary generator", files: client.files(), input: true, cpu: s.cpus.generator,
			uid: nobody,
		})
	if err != nil {
		return nil, err
	}
	return []*entrant{{
		nameBinary,
		[]*child{iokernel, echo, generator},
		allLoops(newRemoteDriver(generator)),
	}}, nil
}

// iokernelFile is a configuration as a file: what iokernelConfig changes. JSON is YAML.
func iokernelFile(c config.Config) []byte {
	r := c.Runtimes[0]
	b, err := json.MarshalIndent(map[string]any{
		"interface": c.Interface,
		"cpu":       int(c.CPU),
		"poll":      c.Poll.String(),
		"spin":      time.Duration(c.Spin).String(),
		"control":   map[string]any{"socket": c.Control.Socket, "mode": c.Control.Mode.String()},
		"runtimes": []any{map[string]any{
			"name": r.Name, "uids": []int{nobody}, "cpus": r.CPUs.String(),
			"endpoints": []any{map[string]any{"ethertype": r.Endpoints[0].EtherType}},
		}},
	}, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("load: encode a configuration of numbers and text: %v", err))
	}
	return b
}

// headed is a client of frames that several contestants share: each sends with a header of its own.
type headed struct {
	*frameClient
	header header
}

// SetBytes implements Transport.
func (h headed) SetBytes(frame int) error {
	h.frameClient.header = h.header
	return h.frameClient.SetBytes(frame)
}
