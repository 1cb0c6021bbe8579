package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dunlin-io/dunlin/core"
	"github.com/dunlin-io/dunlin/dataplane/attach"
	"github.com/dunlin-io/dunlin/dataplane/wire"
)

// defaultEtherType is what --raw without a value serves: IEEE 802 Local Experimental EtherType 1,
// which the sample configuration grants.
const defaultEtherType = "0x88B5"

// echoOptions are echo's flags.
type echoOptions struct {
	socket    string
	name      string
	raw       string // EtherType; empty: none
	udp       ports
	direct    bool
	solo      string // interface
	spin      string
	reconnect bool
}

func echoCommand() *cobra.Command {
	o := &echoOptions{}
	c := &cobra.Command{
		Use:   "echo",
		Short: "Attach to the iokernel and send every packet back",
		Long: `Attach to the iokernel and send every packet back to its sender.

Without --raw and --udp it serves every endpoint that the iokernel's configuration has for the name.
It needs no privilege, only a line there that lets its user attach. It says in one line when it is
ready, and what it did when it ends. If the iokernel ends, so does echo (exit code 5), unless
--reconnect has it attach again.`,
		Example: `  dunlin echo                           all that the runtime "echo" is granted
  dunlin echo --udp 7777 --udp 7778     two ports, for any UDP client
  dunlin echo --raw=0x88B6 --direct     a NIC queue of its own (allow_direct in the configuration)
  sudo dunlin echo --solo eth1 --udp 7  no iokernel beside it: one process, one core`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			e, err := o.parse()
			if err != nil {
				return usage(c, err)
			}
			e.out, e.json = c.OutOrStdout(), wantsJSON(c)
			e.log = c.ErrOrStderr()
			return e.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&o.socket, "socket", attach.DefaultSocket, "the iokernel's control `path`")
	f.StringVar(&o.name, "name", "echo", "the runtime's name in the iokernel's configuration")
	f.StringVar(&o.raw, "raw", "", "serve Ethernet frames of this `EtherType`; "+defaultEtherType+
		" if none is given")
	f.Lookup("raw").NoOptDefVal = defaultEtherType
	f.Var(&o.udp, "udp", "serve this UDP `port`; may be given several times")
	f.BoolVar(&o.direct, "direct", false, "own a NIC queue, instead of sharing the iokernel's")
	f.StringVar(&o.solo, "solo", "", "run an iokernel for this `interface` in the process (root)")
	f.StringVar(&o.spin, "spin", "", "poll for this `duration` before sleeping, or forever; by "+
		"default as the iokernel says")
	f.BoolVar(&o.reconnect, "reconnect", false, "attach again when the iokernel ends, or is not "+
		"there yet")
	return c
}

// parse turns the flags into what is to be done.
func (o *echoOptions) parse() (*echo, error) {
	e := &echo{
		attach:    attach.Options{Name: o.name, Socket: o.socket, Direct: o.direct},
		solo:      o.solo,
		reconnect: o.reconnect,
	}
	if o.raw != "" {
		t, err := parseEtherType(o.raw)
		if err != nil {
			return nil, err
		}
		e.wanted = append(e.wanted, endpoint{etherType: t})
	}
	for _, p := range o.udp {
		e.wanted = append(e.wanted, endpoint{udp: p})
	}
	if o.spin != "" {
		t, err := parseSpin(o.spin)
		if err != nil {
			return nil, err
		}
		e.attach.Spin = attach.SpinFor(t)
	}
	switch {
	case o.solo == "":
	case len(e.wanted) == 0:
		return nil, fmt.Errorf("--solo grants what is asked for: add --raw or --udp")
	case o.reconnect:
		return nil, fmt.Errorf("--reconnect has nothing to connect to with --solo")
	}
	return e, nil
}

// ports is a flag that may be given several times, or once with commas.
type ports []uint16

func (p *ports) String() string {
	texts := make([]string, len(*p))
	for i, n := range *p {
		texts[i] = strconv.Itoa(int(n))
	}
	return strings.Join(texts, ",")
}

func (p *ports) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.ParseUint(part, 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("want a port from 1 to 65535")
		}
		*p = append(*p, uint16(n))
	}
	return nil
}

func (p *ports) Type() string { return "port" }

func parseEtherType(text string) (wire.EtherType, error) {
	digits, _ := strings.CutPrefix(strings.ToLower(text), "0x")
	n, err := strconv.ParseUint(digits, 16, 16)
	if err != nil {
		return 0, fmt.Errorf("--raw %q: want an EtherType in hexadecimal, like %s", text,
			defaultEtherType)
	}
	return wire.EtherType(n), nil
}

func parseSpin(text string) (core.Time, error) {
	if text == "forever" {
		return core.Never, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--spin %q: want a duration like 50us, or forever", text)
	}
	return core.Time(d), nil
}

// endpoint is one thing to serve: an EtherType, or a UDP port.
type endpoint struct {
	etherType wire.EtherType
	udp       uint16
}

func (s endpoint) String() string {
	if s.udp != 0 {
		return fmt.Sprintf("UDP port %d", s.udp)
	}
	return fmt.Sprintf("EtherType %v", s.etherType)
}

// addresses lists those of an interface without their prefix lengths.
func addresses(prefixes []netip.Prefix) string {
	texts := make([]string, len(prefixes))
	for i, p := range prefixes {
		texts[i] = p.Addr().String()
	}
	return strings.Join(texts, ", ")
}
