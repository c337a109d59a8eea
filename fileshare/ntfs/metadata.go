package ntfs

import "encoding/binary"

// Names of the attributes that hold Linux' metadata.
const (
	eaUID    = "$LXUID"
	eaGID    = "$LXGID"
	eaMode   = "$LXMOD"
	eaDevice = "$LXDEV"
)

// Metadata is what Linux knows of a file and NTFS does not. A nil field is not stored.
type Metadata struct {
	UID, GID *uint32
	// Mode has the type's bits (S_IFMT), too.
	Mode *uint32
	// Device is a device node's numbers.
	Device *Device
}

// Device is a device's numbers.
type Device struct{ Major, Minor uint32 }

// Encode makes the list of attributes to set (NtSetEaFile); what is nil stays as it is on the file.
func (m Metadata) Encode() []byte {
	var all []ea
	for _, f := range []struct {
		name  string
		value *uint32
	}{{eaUID, m.UID}, {eaGID, m.GID}, {eaMode, m.Mode}} {
		if f.value != nil {
			all = append(all, ea{f.name, binary.LittleEndian.AppendUint32(nil, *f.value)})
		}
	}
	if m.Device != nil {
		value := binary.LittleEndian.AppendUint32(nil, m.Device.Major)
		all = append(all, ea{eaDevice, binary.LittleEndian.AppendUint32(value, m.Device.Minor)})
	}
	return encodeEAs(all)
}

// DecodeMetadata reads it from all attributes of a file (NtQueryEaFile). What
// has another size than WSL's is left out, as WSL does.
func DecodeMetadata(b []byte) (m Metadata, err error) {
	all, err := decodeEAs(b)
	if err != nil {
		return m, err
	}
	for _, a := range all {
		switch {
		case sameEA(a.name, eaDevice) && len(a.value) == 8:
			m.Device = &Device{binary.LittleEndian.Uint32(a.value), binary.LittleEndian.Uint32(a.value[4:])}
		case len(a.value) != 4:
		case sameEA(a.name, eaUID):
			m.UID = number(a.value)
		case sameEA(a.name, eaGID):
			m.GID = number(a.value)
		case sameEA(a.name, eaMode):
			m.Mode = number(a.value)
		}
	}
	return m, nil
}

func number(b []byte) *uint32 {
	n := binary.LittleEndian.Uint32(b)
	return &n
}
