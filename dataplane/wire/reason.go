package wire

// Reason says why Parse did not accept a packet. The values index counters and are exported as
// metric labels: new ones go to the end.
type Reason uint8

const (
	OK                 Reason = iota
	ReasonShort               // ends inside a header, or total is less than the first segment
	ReasonLong                // longer than MaxPacketBytes
	ReasonLength              // EtherType field below 0x0600: an IEEE 802.3 length, not Ethernet II
	ReasonVLAN                // 802.1Q or 802.1ad tag
	ReasonBadVersion          // IP version does not match the EtherType
	ReasonBadIPLength         // IP header or total length impossible, or more than the packet holds
	ReasonOptions             // IPv4 options
	ReasonBadIPSum            // IPv4 header checksum
	ReasonFragment            // IPv4 fragment, or an IPv6 fragment header
	ReasonExtension           // any other IPv6 extension header
	ReasonBadUDPLength        // UDP length below 8, or more than IP carries

	ReasonCount = iota // number of reasons, OK included
)

var reasonText = [ReasonCount]string{
	OK:                 "ok",
	ReasonShort:        "short",
	ReasonLong:         "long",
	ReasonLength:       "802.3 length",
	ReasonVLAN:         "vlan",
	ReasonBadVersion:   "bad ip version",
	ReasonBadIPLength:  "bad ip length",
	ReasonOptions:      "ip options",
	ReasonBadIPSum:     "bad ip checksum",
	ReasonFragment:     "fragment",
	ReasonExtension:    "ipv6 extension header",
	ReasonBadUDPLength: "bad udp length",
}

func (r Reason) String() string {
	if int(r) < len(reasonText) {
		return reasonText[r]
	}
	return "reason?"
}
