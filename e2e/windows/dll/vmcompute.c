/* Stand-in for vmcompute.dll: of the older interface of the Host Compute Service only
 * that which names layers. Ids are of this library's own making: the same for the
 * same name, whatever its case. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#define EXPORT __declspec(dllexport) WINAPI

HRESULT EXPORT NameToGuid(PCWSTR name, GUID *id)
{
	unsigned long long h[2] = {14695981039346656037ull, 1099511628211ull};
	if (!name || !*name || !id)
		return (HRESULT)0x80070057;
	for (; *name; name++) {
		h[0] = (h[0] ^ towlower(*name)) * 1099511628211ull;
		h[1] = (h[1] + h[0]) * 6364136223846793005ull;
	}
	memcpy(id, h, sizeof *id);
	return 0;
}

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, void *reserved)
{
	(void)instance, (void)reason, (void)reserved;
	return TRUE;
}
