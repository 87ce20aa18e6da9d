package install

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// listAttr is where the kernel keeps an access control list, acl(5), in the form
// of include/uapi/linux/posix_acl_xattr.h: a version, then entries of a tag, a
// permission and an id, all little-endian.
const listAttr = "system.posix_acl_access"

const (
	listVersion = 2
	entrySize   = 8
	noID        = 0xffffffff
)

// The tags of entries; sorted by them, a list is as the kernel wants it.
const (
	tagOwner  = 0x01
	tagUser   = 0x02
	tagGroup  = 0x04 // the owning one
	tagGroups = 0x08 // one that is named
	tagMask   = 0x10
	tagOthers = 0x20
)

type entry struct {
	tag, perm uint16
	id        uint32
}

// acl is an access control list; nil is none.
type acl []entry

// readACL reads the list of a file that has more than a mode.
func readACL(opened *os.File) (acl, error) {
	raw, err := readAttr(opened, listAttr)
	if err != nil || raw == nil {
		return nil, err
	}
	return parseACL(raw)
}

func parseACL(raw []byte) (acl, error) {
	if len(raw) < 4 || (len(raw)-4)%entrySize != 0 || binary.LittleEndian.Uint32(raw) != listVersion {
		return nil, errors.New("its access list has an unknown form")
	}
	a := acl{}
	for rest := raw[4:]; len(rest) > 0; rest = rest[entrySize:] {
		a = append(a, entry{binary.LittleEndian.Uint16(rest), binary.LittleEndian.Uint16(rest[2:]), binary.LittleEndian.Uint32(rest[4:])})
	}
	return a, nil
}

func (a acl) bytes() []byte {
	raw := binary.LittleEndian.AppendUint32(nil, listVersion)
	for _, e := range a {
		raw = binary.LittleEndian.AppendUint16(raw, e.tag)
		raw = binary.LittleEndian.AppendUint16(raw, e.perm)
		raw = binary.LittleEndian.AppendUint32(raw, e.id)
	}
	return raw
}

// grantsOf reads what is configured: "u:NAME:r" and "g:NAME:r". It is a list of
// named entries only; nil where nothing is configured.
func grantsOf(texts []string) (acl, error) {
	var a acl
	for _, text := range texts {
		kind, rest, _ := strings.Cut(text, ":")
		name, perm, _ := strings.Cut(rest, ":")
		e := entry{perm: 4}
		var id int
		var err error
		switch {
		case perm != "r" || name == "":
			err = errors.New("it is neither u:NAME:r nor g:NAME:r")
		case kind == "u":
			e.tag = tagUser
			id, err = number(name, userID)
		case kind == "g":
			e.tag = tagGroups
			id, err = number(name, groupID)
		default:
			err = errors.New("it is neither u:NAME:r nor g:NAME:r")
		}
		if err != nil {
			return nil, fmt.Errorf("reading %q of acl: %w", text, err)
		}
		e.id = uint32(id)
		a = append(a, e)
	}
	return a, nil
}

// on is the list with the owner's, the owning group's and everybody's part of
// mode. The mask, which bounds what all groups and named users may, is as it was,
// and lets through what mode gives to the group; a list without one gets the one
// that hides nothing.
func (a acl) on(mode fs.FileMode) acl {
	owner, group, others := uint16(mode>>6&7), uint16(mode>>3&7), uint16(mode&7)
	list := acl{{tagOwner, owner, noID}, {tagGroup, group, noID}, {tagOthers, others, noID}}
	mask, named := group, group
	masked := false
	for _, e := range a {
		switch e.tag {
		case tagUser, tagGroups:
			list = append(list, e)
			named |= e.perm
		case tagMask:
			masked = true
			mask |= e.perm
		}
	}
	if !masked {
		mask = named
	}
	list = append(list, entry{tagMask, mask, noID})
	slices.SortFunc(list, func(x, y entry) int { return cmp.Or(cmp.Compare(x.tag, y.tag), cmp.Compare(x.id, y.id)) })
	return list
}

// mode is what the list leaves to the owner, the owning group and everybody else.
// What stat(2) tells of a file with a list as the group's is the mask.
func (a acl) mode(st fs.FileInfo) fs.FileMode {
	if a == nil {
		return st.Mode().Perm()
	}
	mask := uint16(7)
	perm := map[uint16]uint16{}
	for _, e := range a {
		if e.tag == tagMask {
			mask = e.perm
		}
		if e.id == noID {
			perm[e.tag] = e.perm
		}
	}
	return fs.FileMode(perm[tagOwner]<<6 | (perm[tagGroup]&mask)<<3 | perm[tagOthers])
}

func (a acl) equal(b acl) bool { return slices.Equal(a, b) }

// String shows the named entries, as setfacl(1) takes them.
func (a acl) String() string {
	var all []string
	for _, e := range a {
		perm := ""
		for i, letter := range "rwx" {
			if e.perm&(4>>i) != 0 {
				perm += string(letter)
			}
		}
		switch e.tag {
		case tagUser:
			all = append(all, fmt.Sprintf("u:%d:%s", e.id, perm))
		case tagGroups:
			all = append(all, fmt.Sprintf("g:%d:%s", e.id, perm))
		case tagMask:
			all = append(all, "m::"+perm)
		}
	}
	if len(all) == 0 {
		return "(none)"
	}
	return strings.Join(all, ",")
}
