package hyperv

import (
	"golang.org/x/sys/windows"

	"github.com/paddock-run/paddock/podsandbox/vm/hyperv/schema"
)

// hostTimeZone is this host's, which its Windows guests have too; nil if it cannot be told.
func hostTimeZone() *schema.TimeZone {
	var z windows.Timezoneinformation
	if _, err := windows.GetTimeZoneInformation(&z); err != nil {
		return nil
	}
	return &schema.TimeZone{
		Bias:         z.Bias,
		StandardName: windows.UTF16ToString(z.StandardName[:]), StandardDate: changeTime(z.StandardDate), StandardBias: z.StandardBias,
		DaylightName: windows.UTF16ToString(z.DaylightName[:]), DaylightDate: changeTime(z.DaylightDate), DaylightBias: z.DaylightBias,
	}
}

func changeTime(t windows.Systemtime) *schema.SystemTime {
	return &schema.SystemTime{
		Year: int32(t.Year), Month: int32(t.Month), DayOfWeek: int32(t.DayOfWeek), Day: int32(t.Day),
		Hour: int32(t.Hour), Minute: int32(t.Minute), Second: int32(t.Second), Milliseconds: int32(t.Milliseconds),
	}
}
