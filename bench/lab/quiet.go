package lab

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
)

// quietSettings keep new interfaces of a namespace from talking unasked. All exist since Linux 4.9;
// a kernel without IPv6 has none of them and nothing to say.
var quietSettings = [...][2]string{
	{"ipv6/conf/default/accept_ra", "0"},            // no addresses by routers
	{"ipv6/conf/default/autoconf", "0"},             //
	{"ipv6/conf/default/router_solicitations", "0"}, //
	{"ipv6/conf/default/addr_gen_mode", "1"},        // no link-local address
	{"ipv6/conf/default/accept_dad", "0"},           // no duplicate address detection
	{"ipv6/conf/default/dad_transmits", "0"},        //
	// Listener reports are repeated (RFC 3810, 9.1) at once, so that one can wait for the last.
	{"ipv6/conf/default/mldv2_unsolicited_report_interval", "1"},
}

// quieten applies quietSettings to the calling thread's namespace.
func quieten() error {
	if _, err := os.Stat("/proc/sys/net/ipv6"); os.IsNotExist(err) {
		return nil
	}
	for _, s := range quietSettings {
		if err := sysctl(s[0], s[1]); err != nil {
			return err
		}
	}
	return nil
}

// sysctl writes a setting below /proc/sys/net, of the calling thread's namespace.
func sysctl(name, value string) error {
	return os.WriteFile(filepath.Join("/proc/sys/net", name), []byte(value), 0)
}

// listenerReports is how many MLDv2 reports the calling thread's namespace has sent.
func listenerReports() (uint64, error) {
	b, err := os.ReadFile("/proc/thread-self/net/snmp6")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(b) {
		if f := bytes.Fields(line); len(f) == 2 && string(f[0]) == "Icmp6OutMLDv2Reports" {
			return strconv.ParseUint(string(f[1]), 10, 64)
		}
	}
	return 0, fmt.Errorf("/proc/thread-self/net/snmp6 has no Icmp6OutMLDv2Reports")
}

// reportGap is the longest pause between a listener report and its repetition: four ticks of a
// kernel that ticks a hundred times a second. (read from the kernel: two ticks, and a worker's
// delay)
const reportGap = 40 * time.Millisecond

// awaitListenerReports waits until more reports were sent than before, and the last of them for
// certain. They follow the address that they announce by some ticks of the kernel's clock; how
// often they are repeated is a setting of the machine, which a namespace cannot see.
func awaitListenerReports(before uint64) error {
	start := time.Now()
	for count, since := before, start; ; time.Sleep(settlePoll) {
		n, err := listenerReports()
		switch {
		case err != nil:
			return err
		case n != count:
			count, since = n, time.Now()
		case n != before && time.Since(since) > reportGap:
			return nil
		case time.Since(start) > settleTimeout:
			return fmt.Errorf("no end of multicast listener reports within %v of an address",
				settleTimeout)
		}
	}
}

func loopbackUp(h *netlink.Handle) error {
	link, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	return h.LinkSetUp(link)
}
