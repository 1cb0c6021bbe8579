package bpf

import "fmt"

// A Reason says why steer sent a frame where it did. Every frame is counted under exactly one. The
// values are those of the enum in steer.c, from which the generated constants come.
type Reason uint8

const (
	// Taken: redirected to the socket of the queue.

	TakenEtherType = Reason(steerReasonTAKEN_ETHERTYPE) // a registered EtherType
	TakenUDP4      = Reason(steerReasonTAKEN_UDP4)      // IPv4 UDP to a registered endpoint
	TakenUDP6      = Reason(steerReasonTAKEN_UDP6)      // IPv6 UDP to a registered endpoint

	// Ours, yet not taken.

	NoSocket     = Reason(steerReasonNO_SOCKET)     // passed: nobody bound to the queue
	DroppedEmpty = Reason(steerReasonDROPPED_EMPTY) // dropped: a registered EtherType, no payload

	// Somebody else's: passed to the kernel.

	PassedOtherHost = Reason(steerReasonPASSED_OTHER_HOST) // another host's unicast MAC
	PassedGroup     = Reason(steerReasonPASSED_GROUP)      // multicast or broadcast MAC
	PassedVLAN      = Reason(steerReasonPASSED_VLAN)       // 802.1Q or 802.1ad tag
	PassedEtherType = Reason(steerReasonPASSED_ETHERTYPE)  // ARP and whatever else is not IP
	PassedProtocol  = Reason(steerReasonPASSED_PROTOCOL)   // IP, not UDP: TCP, ICMP, ND
	PassedFragment  = Reason(steerReasonPASSED_FRAGMENT)   // a piece of an IP packet
	PassedOptions   = Reason(steerReasonPASSED_OPTIONS)    // IPv4 options
	PassedExtension = Reason(steerReasonPASSED_EXTENSION)  // IPv6 extension headers
	PassedPort      = Reason(steerReasonPASSED_PORT)       // UDP to an endpoint not registered

	// Malformed: passed too, so that the kernel drops and counts it as its administrator expects.

	BadEthernet = Reason(steerReasonBAD_ETHERNET) // no Ethernet header
	BadIPv4     = Reason(steerReasonBAD_IPV4)     // version, header or total length
	BadIPv6     = Reason(steerReasonBAD_IPV6)     // version or payload length
	BadUDP      = Reason(steerReasonBAD_UDP)      // no room for the header, or its length is wrong

	// Reasons is their number.
	Reasons = int(steerReasonREASONS)
)

// Redirected reports whether a frame counted under r went to a socket.
func (r Reason) Redirected() bool { return r <= TakenUDP6 }

// String is the reason as a metrics label: lower case, words joined by underscores.
func (r Reason) String() string {
	switch r {
	case TakenEtherType:
		return "taken_ethertype"
	case TakenUDP4:
		return "taken_udp4"
	case TakenUDP6:
		return "taken_udp6"
	case NoSocket:
		return "no_socket"
	case DroppedEmpty:
		return "dropped_empty"
	case PassedOtherHost:
		return "passed_other_host"
	case PassedGroup:
		return "passed_group"
	case PassedVLAN:
		return "passed_vlan"
	case PassedEtherType:
		return "passed_ethertype"
	case PassedProtocol:
		return "passed_protocol"
	case PassedFragment:
		return "passed_fragment"
	case PassedOptions:
		return "passed_options"
	case PassedExtension:
		return "passed_extension"
	case PassedPort:
		return "passed_port"
	case BadEthernet:
		return "bad_ethernet"
	case BadIPv4:
		return "bad_ipv4"
	case BadIPv6:
		return "bad_ipv6"
	case BadUDP:
		return "bad_udp"
	}
	return fmt.Sprintf("reason_%d", uint8(r))
}
