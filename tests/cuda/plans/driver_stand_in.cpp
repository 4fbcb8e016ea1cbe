// A driver without devices, as libcuda.so.1: cuDNN compiles the kernels of attention when it makes
// a plan, and hands them to the driver. This one takes them. (What the engine supports, and whether
// the kernel compiles for the described device, is found out before.)

// NOLINTBEGIN(readability-identifier-naming): the driver's names
extern "C" {

#define VID2VOX_SUCCEEDS(name) \
  int name(...) { return 0; }

VID2VOX_SUCCEEDS(cuInit)
VID2VOX_SUCCEEDS(cuGetErrorName)
VID2VOX_SUCCEEDS(cuGetErrorString)
VID2VOX_SUCCEEDS(cuDeviceGet)
VID2VOX_SUCCEEDS(cuDeviceGetAttribute)
VID2VOX_SUCCEEDS(cuDevicePrimaryCtxRetain)
VID2VOX_SUCCEEDS(cuDevicePrimaryCtxRelease)
VID2VOX_SUCCEEDS(cuDevicePrimaryCtxReset)
VID2VOX_SUCCEEDS(cuCtxGetDevice)
VID2VOX_SUCCEEDS(cuCtxGetLimit)
VID2VOX_SUCCEEDS(cuCtxPushCurrent)
VID2VOX_SUCCEEDS(cuCtxPopCurrent)
VID2VOX_SUCCEEDS(cuStreamGetCtx)
VID2VOX_SUCCEEDS(cuStreamSynchronize)
VID2VOX_SUCCEEDS(cuMemcpyDtoH_v2)
VID2VOX_SUCCEEDS(cuLinkCreate)
VID2VOX_SUCCEEDS(cuLinkCreate_v2)
VID2VOX_SUCCEEDS(cuLinkAddData)
VID2VOX_SUCCEEDS(cuLinkAddData_v2)
VID2VOX_SUCCEEDS(cuLinkAddFile_v2)
VID2VOX_SUCCEEDS(cuLinkComplete)
VID2VOX_SUCCEEDS(cuLinkDestroy)
VID2VOX_SUCCEEDS(cuLibraryLoadData)
VID2VOX_SUCCEEDS(cuLibraryLoadFromFile)
VID2VOX_SUCCEEDS(cuLibraryGetKernel)
VID2VOX_SUCCEEDS(cuLibraryUnload)
VID2VOX_SUCCEEDS(cuKernelGetAttribute)
VID2VOX_SUCCEEDS(cuKernelSetAttribute)
VID2VOX_SUCCEEDS(cuModuleLoadData)
VID2VOX_SUCCEEDS(cuModuleLoadDataEx)
VID2VOX_SUCCEEDS(cuModuleLoadFatBinary)
VID2VOX_SUCCEEDS(cuModuleGetFunction)
VID2VOX_SUCCEEDS(cuModuleGetGlobal_v2)
VID2VOX_SUCCEEDS(cuModuleUnload)
VID2VOX_SUCCEEDS(cuFuncGetAttribute)
VID2VOX_SUCCEEDS(cuFuncSetAttribute)
VID2VOX_SUCCEEDS(cuOccupancyMaxActiveBlocksPerMultiprocessor)
VID2VOX_SUCCEEDS(cuOccupancyMaxPotentialClusterSize)
VID2VOX_SUCCEEDS(cuTensorMapEncodeTiled)
VID2VOX_SUCCEEDS(cuLaunchKernel)
VID2VOX_SUCCEEDS(cuLaunchKernelEx)
VID2VOX_SUCCEEDS(cuLaunchCooperativeKernel)

int cuDriverGetVersion(int* version) {
  constexpr int kVersion = 13000;
  *version = kVersion;
  return 0;
}
int cuDeviceGetCount(int* count) {
  *count = 0;
  return 0;
}
int cuCtxGetCurrent(void** context) {
  *context = nullptr;
  return 0;
}
int cuGetExportTable(...) {
  constexpr int kStubLibrary = 34;  // CUDA_ERROR_STUB_LIBRARY
  return kStubLibrary;
}

}  // extern "C"
// NOLINTEND(readability-identifier-naming)
