package load

import (
	"github.com/dunlin-io/dunlin/bench/lab"
	"github.com/dunlin-io/dunlin/bench/report"
	"github.com/dunlin-io/dunlin/core/pin"
	"github.com/dunlin-io/dunlin/iokernel/config"
	"github.com/dunlin-io/dunlin/iokernel/daemon"
)

// rpcKind is a pair of runtimes that talk in one way.
type rpcKind struct {
	pair     string
	mtu      int
	insecure bool
	mediated bool // the server is behind the iokernel; else it has a queue to itself
	calls    []string
	beside   string // calls beside writes; empty: none
	bulk     string // writes; empty: none
}

var rpcKinds = [...]rpcKind{
	{
		pair: "rpc", mtu: plainMTU, calls: []string{nameRPC, nameRPCLong}, beside: nameBeside,
		bulk: nameBulk1500,
	},
	{pair: "rpcplain", mtu: plainMTU, insecure: true, calls: []string{namePlain, nameLong}},
	{pair: "rpcmed", mtu: plainMTU, mediated: true, calls: []string{nameRPCMed}},
	{pair: "jumbo", mtu: jumboMTU, bulk: nameBulk},
	{pair: "jumboplain", mtu: jumboMTU, insecure: true, bulk: nameBulkLow},
}

// rpcFamilies are the contestants of the suite.
func rpcFamilies() (all []family) {
	for _, k := range rpcKinds {
		names := append([]string{}, k.calls...)
		for _, name := range []string{k.beside, k.bulk} {
			if name != "" {
				names = append(names, name)
			}
		}
		all = append(all, family{names, k.up})
	}
	return append(all, family{[]string{nameAEAD, nameAEADBulk}, upAEAD},
		family{[]string{nameBulkBare, nameBulkCopied}, upBulkFloor},
		family{lossNames(), upLosses},
		family{[]string{nameRPCTCP}, upRPCTCP},
		family{[]string{nameGRPC}, upOther(nameGRPC, "grpc")},
		family{[]string{nameQUIC}, upOther(nameQUIC, "quic")})
}

// up starts the iokernel and the server, and makes the client.
func (k rpcKind) up(s *site) ([]*entrant, error) {
	p, err := s.pairOf(k.pair, k.mtu)
	if err != nil {
		return nil, err
	}
	client, server, d, err := k.talk(s, p)
	if err != nil {
		return nil, err
	}
	var by turner = bareTurner{s.thread, pin.NewClock(), client}
	if k.mediated && s.cpus.iokernel == s.cpus.generator {
		by = hostTurner{d.Loop(), d.Host(), pin.NewClock(), client}
	}
	return k.entrants(s, client, server, by), nil
}

// talk starts the iokernel and the server at end B of a pair, and makes the client at end A.
func (k rpcKind) talk(s *site, p *lab.Pair) (*rpcClient, *child, *daemon.Daemon, error) {
	t, err := s.makeTrust()
	if err != nil {
		return nil, nil, nil, err
	}
	c := s.iokernelConfig(p)
	t.configure(&c)
	if !k.mediated {
		c.XDP.Queues = config.Queues{}
		c.Runtimes[0].AllowDirect, c.Runtimes[0].Queue = true, 0
	}
	d, err := s.startIokernel(c)
	if err != nil {
		return nil, nil, nil, err
	}
	server, err := s.peer(peer{
		Kind: peerTalk, Socket: c.Control.Socket, Insecure: k.insecure, MTU: k.mtu,
		Direct: !k.mediated,
	}, birth{name: k.pair + " server", cpu: s.cpus.server, uid: nobody, input: true})
	if err != nil {
		return nil, nil, nil, err
	}
	key, err := readKey(server)
	if err != nil {
		return nil, nil, nil, err
	}
	client, err := s.newRPCClient(p, k.mtu, k.insecure, key)
	return client, server, d, err
}

// entrants are what a pair can be asked for.
func (k rpcKind) entrants(s *site, client *rpcClient, server *child, by turner) (all []*entrant) {
	add := func(name string, beside bool, loops ...report.Loop) {
		d := &rpcDriver{
			turner: by, client: client, generator: NewGenerator(client, s.o.samples()),
			beside: beside,
		}
		e := &entrant{name, []*child{server}, map[report.Loop]driver{}}
		for _, l := range loops {
			e.drivers[l] = d
		}
		all = append(all, e)
	}
	for _, name := range k.calls {
		add(name, false, report.Closed, report.Open, report.Window)
	}
	if k.beside != "" {
		add(k.beside, true, report.Closed)
	}
	if k.bulk != "" {
		add(k.bulk, false, report.Stream, report.Closed) // the latter to see that it answers
	}
	return all
}

// pairOf is a pair of another MTU than 1500.
func (s *site) pairOf(name string, mtu int) (*lab.Pair, error) {
	s.mtu = mtu
	defer func() { s.mtu = 0 }()
	return s.pair(name)
}
