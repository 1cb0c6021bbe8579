package xdp

import (
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

func TestCheckFrames(t *testing.T) {
	for _, c := range []struct {
		mtu, chunk, headroom int
		frags                bool
		text                 string // of the error, empty for none
	}{
		{1500, 4096, 0, false, ""},
		{1500, 2048, 0, false, ""},
		{3822, 4096, 0, false, ""},
		{3823, 4096, 0, false, "set the MTU to 3822 or less"},
		{9000, 4096, 0, false, "frames of up to 9018 bytes do not fit into the 3840"},
		{9000, 4096, 0, true, ""},
		{9000, 2048, 256, true, ""},
		{1500, 2048, 274, false, ""},
		{1500, 2048, 275, false, "the 1517 that a chunk of 2048 holds"},
		{1500, 1500, 0, false, "chunks of 1500 bytes"},
		{1500, 8192, 0, true, "chunks of 8192 bytes"},
		{1500, 4096, -1, true, "headroom of -1"},
		{1500, 4096, 3392, true, ""},
		{1500, 4096, 3393, true, "want 0 to 3392"},
	} {
		err := checkFrames(c.mtu, c.chunk, c.headroom, c.frags)
		if c.text == "" && err != nil ||
			c.text != "" && (err == nil || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestReaches climbs from an interface to those above it.
func TestReaches(t *testing.T) {
	attrs := func(index, master, parent int) netlink.LinkAttrs {
		return netlink.LinkAttrs{Index: index, MasterIndex: master, ParentIndex: parent}
	}
	links := map[int]netlink.Link{
		1: &netlink.Device{LinkAttrs: attrs(1, 0, 0)},
		2: &netlink.Device{LinkAttrs: attrs(2, 3, 0)}, // port of bridge 3
		3: &netlink.Bridge{LinkAttrs: attrs(3, 0, 0)},
		4: &netlink.Vlan{LinkAttrs: attrs(4, 0, 3)},    // on the bridge
		5: &netlink.Veth{LinkAttrs: attrs(5, 0, 1)},    // whose "parent" is only its peer
		6: &netlink.Device{LinkAttrs: attrs(6, 7, 0)},  // a circle, as other namespaces'
		7: &netlink.Device{LinkAttrs: attrs(7, 6, 0)},  // indices can make it look
		8: &netlink.Device{LinkAttrs: attrs(8, 99, 0)}, // of a master that is not here
	}
	for _, c := range []struct {
		from, route int
		want        bool
	}{
		{1, 1, true},
		{1, 3, false},
		{2, 3, true},
		{2, 4, true},
		{3, 4, true},
		{4, 3, false},
		{1, 5, false},
		{6, 1, false},
		{8, 1, false},
	} {
		if got := reaches(links, map[int]bool{c.route: true}, c.from, len(links)); got != c.want {
			t.Errorf("from %d to a route through %d: %t", c.from, c.route, got)
		}
	}
}

func TestMessages(t *testing.T) {
	s := &Socket{queue: 3, name: "nic"}
	for want, err := range map[string]error{
		`xdp: eth0 queue 3: held by process 7 (old), process 9 (new), perhaps`: &BusyError{
			Interface: "eth0", Queue: 3, Holders: []Holder{{7, "old", true}, {9, "new", false}},
		},
		`xdp: eth0 queue 0: held by a process that is not visible from here`: &BusyError{
			Interface: "eth0",
		},
		`xdp: eth0 has XDP program 12 "firewall" (native) already; detach it first, it is not ` +
			`replaced`: &ForeignError{"eth0", Attached{12, "firewall", Native}},
		`xdp: eth0 queue 3: socket "nic" of queue 3 runs its fill and completion ring, and there ` +
			`can be one such owner only; share its memory (OpenShared) or use another ` +
			`queue`: &OwnedError{"eth0", 3, s},
	} {
		if err.Error() != want {
			t.Errorf("got  %s\nwant %s", err, want)
		}
	}
	if got := (Fallback{"native XDP", "generic XDP", "no driver"}).String(); got !=
		"generic XDP instead of native XDP: no driver" {
		t.Error(got)
	}
}
