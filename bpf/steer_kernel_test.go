package bpf

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

type steerCase struct {
	name  string
	frame []byte
	want  Reason
}

// goodFrames are those that a well-meaning peer sends, to us and to others.
func goodFrames(t testing.TB) []steerCase {
	raw, udp4, udp6 := rawFrame(t, 50), udp4Frame(t, 18), udp6Frame(t, 18)
	payload := gopacket.Payload(make([]byte, 30))
	withOptions := ip4(layers.IPProtocolUDP)
	withOptions.Options = []layers.IPv4Option{{OptionType: 1}}
	vlan := func(outer uint16, frame []byte) []byte {
		tagged := append(patched16(frame[:14:14], atType, int(outer)), 0, 5)
		return append(tagged, frame[12:]...)
	}
	return []steerCase{
		{"EtherType", raw, TakenEtherType},
		{"EtherType, one byte", rawFrame(t, 1)[:15], TakenEtherType},
		{"EtherType, empty", raw[:14], DroppedEmpty},
		{"EtherType beside it", patched16(raw, atType, 0x88b4), PassedEtherType},
		{"EtherType in the next word", patched16(raw, atType, 0x88b5+64), PassedEtherType},
		{"EtherType, other host", patched(raw, 0, otherMAC[:]...), PassedOtherHost},
		{"EtherType, broadcast", patched(raw, 0, 255, 255, 255, 255, 255, 255), PassedGroup},
		{"EtherType, multicast", patched(raw, 0, 1, 0, 0x5e, 0, 0, 1), PassedGroup},
		{"EtherType, our MAC with the group bit", patched(raw, 0, testMAC[0]|1), PassedGroup},
		{"EtherType in a VLAN", vlan(0x8100, raw), PassedVLAN},
		{"ARP", patched16(raw, atType, 0x0806), PassedEtherType},
		{"802.3 length", patched16(raw, atType, 50), PassedEtherType},

		{"UDP 4", udp4, TakenUDP4},
		{"UDP 4, no payload", udp4Frame(t, 0), TakenUDP4},
		{"UDP 4, padded", append(udp4Frame(t, 1), make([]byte, 17)...), TakenUDP4},
		{"UDP 4, shorter than its packet", patched16(udp4, atUDP4+4, 8), TakenUDP4},
		{"UDP 4, other host", patched(udp4, 0, otherMAC[:]...), PassedOtherHost},
		{"UDP 4, other port", patched16(udp4, atUDP4+2, int(testPort)+1), PassedPort},
		{"UDP 4, port in the other byte order", patched16(udp4, atUDP4+2, 0x611e), PassedPort},
		{"UDP 4, other address", patched(udp4, atDst4+3, 4), PassedPort},
		{"UDP 4 in a VLAN", vlan(0x8100, udp4), PassedVLAN},
		{"UDP 4 in a service VLAN", vlan(0x88a8, udp4), PassedVLAN},
		{
			"UDP 4 with options",
			serialize(t, ethernet(0x0800), withOptions, udpTo(testPort), payload), PassedOptions,
		},
		{"UDP 4, first fragment", patched16(udp4, atFrag4, 0x2000), PassedFragment},
		{"UDP 4, last fragment", patched16(udp4, atFrag4, 0x0001), PassedFragment},
		{"UDP 4, last fragment, far", patched16(udp4, atFrag4, 0x1000), PassedFragment},
		{"UDP 4, reserved flag", patched16(udp4, atFrag4, 0x8000), TakenUDP4},
		{"TCP 4", patched(udp4, atProto4, 6), PassedProtocol},
		{"ICMP 4", patched(udp4, atProto4, 1), PassedProtocol},

		{"UDP 6", udp6, TakenUDP6},
		{"UDP 6, no payload", udp6Frame(t, 0), TakenUDP6},
		{"UDP 6, padded", append(udp6Frame(t, 1), 0, 0, 0), TakenUDP6},
		{"UDP 6, other port", patched16(udp6, atUDP6+2, int(testPort)+1), PassedPort},
		{"UDP 6, other address", patched(udp6, atDst6+15, 4), PassedPort},
		{"UDP 6, other prefix", patched(udp6, atDst6, 0xfe), PassedPort},
		{"UDP 6 in a VLAN", vlan(0x8100, udp6), PassedVLAN},
		{"ICMP 6, so ND", patched(udp6, atNext6, 58), PassedProtocol},
		{"TCP 6", patched(udp6, atNext6, 6), PassedProtocol},
		{"no next header 6", patched(udp6, atNext6, 59), PassedProtocol},
		{"fragment 6", patched(udp6, atNext6, 44), PassedFragment},
		{"hop-by-hop 6", patched(udp6, atNext6, 0), PassedExtension},
		{"routing 6", patched(udp6, atNext6, 43), PassedExtension},
		{"destination options 6", patched(udp6, atNext6, 60), PassedExtension},
		{"authentication 6", patched(udp6, atNext6, 51), PassedExtension},
		{"encrypted 6", patched(udp6, atNext6, 50), PassedExtension},
	}
}

// hostileFrames lie about themselves.
func hostileFrames(t testing.TB) []steerCase {
	udp4, udp6 := udp4Frame(t, 18), udp6Frame(t, 18)
	mapped := patched(udp6, atDst6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 1, 2, 3)
	compatible := patched(udp6, atDst6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 1, 2, 3)
	return []steerCase{
		{"4: version 6", patched(udp4, atIP, 0x65), BadIPv4},
		{"4: version 0", patched(udp4, atIP, 0x05), BadIPv4},
		{"4: header of 16", patched(udp4, atIP, 0x44), BadIPv4},
		{"4: header of 0", patched(udp4, atIP, 0x40), BadIPv4},
		{"4: header longer than the packet", patched(udp4, atIP, 0x4f), BadIPv4},
		{"4: total 0", patched16(udp4, atTotal4, 0), BadIPv4},
		{"4: total below the header", patched16(udp4, atTotal4, 19), BadIPv4},
		{"4: total beyond the frame", patched16(udp4, atTotal4, len(udp4)-14+1), BadIPv4},
		{"4: total 65535", patched16(udp4, atTotal4, 65535), BadIPv4},
		{"4: total without UDP header", patched16(udp4, atTotal4, 20), BadUDP},
		{"4: total cuts the UDP header", patched16(udp4, atTotal4, 27), BadUDP},
		{"4: total cuts the payload", patched16(udp4, atTotal4, 28), BadUDP},
		{"4: UDP length 0", patched16(udp4, atUDP4+4, 0), BadUDP},
		{"4: UDP length 7", patched16(udp4, atUDP4+4, 7), BadUDP},
		{"4: UDP length beyond the packet", patched16(udp4, atUDP4+4, 8+18+1), BadUDP},
		{"4: UDP length 65535", patched16(udp4, atUDP4+4, 65535), BadUDP},
		{
			"4: bad length, not our port",
			patched16(patched16(udp4, atUDP4+4, 7), atUDP4+2, 99), PassedPort,
		},
		{
			"4: UDP length reaches into the padding",
			patched16(append(udp4, make([]byte, 10)...), atUDP4+4, 8+18+1), BadUDP,
		},
		{"4: an IPv6 packet", patched16(udp6, atType, 0x0800), BadIPv4},

		{"6: version 4", patched(udp6, atIP, 0x45), BadIPv6},
		{"6: payload beyond the frame", patched16(udp6, atPayload6, 8+18+1), BadIPv6},
		{"6: payload 65535", patched16(udp6, atPayload6, 65535), BadIPv6},
		{"6: payload 0, as in a jumbogram", patched16(udp6, atPayload6, 0), BadUDP},
		{"6: payload cuts the UDP header", patched16(udp6, atPayload6, 7), BadUDP},
		{"6: UDP length 0", patched16(udp6, atUDP6+4, 0), BadUDP},
		{"6: UDP length 7", patched16(udp6, atUDP6+4, 7), BadUDP},
		{"6: UDP length beyond the packet", patched16(udp6, atUDP6+4, 8+18+1), BadUDP},
		{"6: to our IPv4 address, mapped", mapped, PassedPort},
		{"6: to our IPv4 address, compatible", compatible, PassedPort},
		{"6: an IPv4 packet", patched16(udp4, atType, 0x86dd), BadIPv6},
	}
}

func TestSteer(t *testing.T) {
	b := newBench(t)
	for _, frags := range []bool{false, true} {
		s := newSteer(t, frags)
		for _, c := range append(goodFrames(t), hostileFrames(t)...) {
			if ref := reference(c.frame, testRegistered()); ref != c.want {
				t.Errorf("%s: the reference says %v, the table %v", c.name, ref, c.want)
			}
			verdict, reason := b.steered(t, s, 0, c.frame)
			if reason != c.want || verdict != want(c.want) {
				t.Errorf("%s (frags %v): verdict %d, %v; want %d, %v",
					c.name, frags, verdict, reason, want(c.want), c.want)
			}
		}
	}
}

// A queue without a socket gives its frames to the kernel.
func TestSteerNoSocket(t *testing.T) {
	b := newBench(t)
	s := newSteer(t, false)
	for _, c := range append(goodFrames(t), hostileFrames(t)...) {
		expected := c.want
		if expected.Redirected() {
			expected = NoSocket
		}
		verdict, reason := b.steered(t, s, 1, c.frame)
		if reason != expected || verdict != want(expected) {
			t.Errorf("%s: verdict %d, %v; want %v", c.name, verdict, reason, expected)
		}
	}
}

// The kernel runs no XDP program over less than an Ethernet header, so the cuts start there.
func TestSteerTruncated(t *testing.T) {
	b := newBench(t)
	for _, frags := range []bool{false, true} {
		s := newSteer(t, frags)
		for _, whole := range [][]byte{rawFrame(t, 50), udp4Frame(t, 18), udp6Frame(t, 18)} {
			for n := 14; n <= len(whole); n++ {
				expected := reference(whole[:n], testRegistered())
				verdict, reason := b.steered(t, s, 0, whole[:n])
				if reason != expected || verdict != want(expected) {
					t.Errorf("%d of %d bytes of %x: verdict %d, %v; want %v",
						n, len(whole), whole[:atIP+1], verdict, reason, expected)
				}
				isUDP := whole[atType] != byte(testType>>8)
				if reason.Redirected() && isUDP && n < len(whole) {
					t.Errorf("%d of %d bytes of a packet were taken", n, len(whole))
				}
			}
		}
	}
}

// Frames that differ from good ones in a few random bytes and their length go where the reference
// says.
func TestSteerMutated(t *testing.T) {
	const rounds = 4000
	b := newBench(t)
	s := newSteer(t, true)
	random := rand.New(rand.NewPCG(1, 2))
	seeds := append(goodFrames(t), hostileFrames(t)...)
	seen := map[Reason]int{}
	for range rounds {
		frame := append([]byte(nil), seeds[random.IntN(len(seeds))].frame...)
		for range random.IntN(4) {
			frame[random.IntN(min(len(frame), atUDP6+8))] = byte(random.Uint32())
		}
		if random.IntN(4) == 0 {
			frame = frame[:14+random.IntN(len(frame)-13)]
		}
		expected := reference(frame, testRegistered())
		verdict, reason := b.steered(t, s, 0, frame)
		if reason != expected || verdict != want(expected) {
			t.Fatalf("%x: verdict %d, %v; want %v", frame, verdict, reason, expected)
		}
		seen[reason]++
	}
	for reason := range Reason(Reasons) {
		// A socket is there, and no frame is shorter than its header.
		if seen[reason] == 0 && reason != NoSocket && reason != BadEthernet {
			t.Errorf("no frame in %d was %v", rounds, reason)
		}
	}
}

// Frames longer than a page arrive in several buffers. The length counts, not the linear part.
func TestSteerJumbo(t *testing.T) {
	const payload = 8950
	b := newBench(t)
	s := newSteer(t, true)
	raw, udp4, udp6 := rawFrame(t, payload), udp4Frame(t, payload), udp6Frame(t, payload)
	for _, c := range []steerCase{
		{"EtherType", raw, TakenEtherType},
		{"UDP 4", udp4, TakenUDP4},
		{"UDP 6", udp6, TakenUDP6},
		{"UDP 4, cut", udp4[:len(udp4)-1], BadIPv4},
		{"UDP 6, cut", udp6[:len(udp6)-1], BadIPv6},
		{"UDP 4, length beyond", patched16(udp4, atUDP4+4, 8+payload+1), BadUDP},
		{"UDP 6, length beyond", patched16(udp6, atUDP6+4, 8+payload+1), BadUDP},
	} {
		verdict, reason := b.steered(t, s, 0, c.frame)
		if reason != c.want || verdict != want(c.want) {
			t.Errorf("%s: verdict %d, %v; want %v", c.name, verdict, reason, c.want)
		}
	}
}

func TestSteerRegistrations(t *testing.T) {
	b := newBench(t)
	s := newSteer(t, false)
	expect := func(step string, frame []byte, expected Reason) {
		t.Helper()
		if _, reason := b.steered(t, s, 0, frame); reason != expected {
			t.Errorf("%s: %v, want %v", step, reason, expected)
		}
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	raw, udp4, udp6 := rawFrame(t, 50), udp4Frame(t, 18), udp6Frame(t, 18)
	other := patched16(raw, atType, 0x88b6)

	do(s.SetEtherType(0x88b6, true))
	expect("a second EtherType", other, TakenEtherType)
	do(s.SetEtherType(testType, false))
	do(s.SetEtherType(testType, false))
	expect("an EtherType taken away", raw, PassedEtherType)
	expect("the second one stays", other, TakenEtherType)

	do(s.SetUDP(netip.AddrFrom16(testAddr4.As16()), testPort, false))
	expect("IPv4 endpoint taken away by its mapped address", udp4, PassedPort)
	expect("the IPv6 endpoint stays", udp6, TakenUDP6)
	do(s.SetUDP(testAddr4, testPort, false))
	do(s.SetUDP(testAddr6.WithZone("eth0"), testPort, false))
	expect("IPv6 endpoint taken away", udp6, PassedPort)
	do(s.SetUDP(testAddr4, testPort, true))
	do(s.SetUDP(testAddr4, testPort, true))
	expect("IPv4 endpoint back", udp4, TakenUDP4)

	do(s.SetMAC(otherMAC))
	expect("another MAC is ours now", udp4, PassedOtherHost)
	expect("and this one is taken", patched(udp4, 0, otherMAC[:]...), TakenUDP4)
}

func TestSteerRefuses(t *testing.T) {
	newBench(t)
	s := newSteer(t, false)
	for _, reserved := range []uint16{0, 46, 0x05ff, 0x0800, 0x0806, 0x8100, 0x86dd, 0x88a8} {
		if err := s.SetEtherType(reserved, true); !errors.Is(err, ErrReserved) {
			t.Errorf("EtherType %#04x: %v", reserved, err)
		}
	}
	for _, addr := range []string{"0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"} {
		if err := s.SetUDP(netip.MustParseAddr(addr), 1, true); !errors.Is(err, ErrEndpoint) {
			t.Errorf("UDP %s: %v", addr, err)
		}
	}
	if err := s.SetUDP(netip.Addr{}, 1, true); !errors.Is(err, ErrEndpoint) {
		t.Errorf("UDP without address: %v", err)
	}
	if err := s.SetUDP(testAddr4, 0, true); !errors.Is(err, ErrEndpoint) {
		t.Errorf("UDP port 0: %v", err)
	}
	var err error
	present := len(testRegistered().endpoints)
	for n := present; n < MaxEndpoints && err == nil; n++ {
		err = s.SetUDP(testAddr4, uint16(10000+n), true)
	}
	if err != nil {
		t.Fatalf("fewer than %d endpoints: %v", MaxEndpoints, err)
	}
	if err := s.SetUDP(testAddr4, 1, true); !errors.Is(err, ErrFull) {
		t.Errorf("endpoint %d: %v", MaxEndpoints+1, err)
	}
}
